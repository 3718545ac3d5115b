package reactor

// The system calls of the hot path, without telling Go's scheduler.

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Before an ordinary system call Go's scheduler is told that the thread may block, and asked afterwards whether it
// may go on: half the cost of a short call. The calls here can't block, since every socket is non-blocking and
// epoll_wait is asked not to wait, so the scheduler need not know. The kernel writes only into memory that p points
// to, which the compiler keeps alive over a call in assembly.

// rawRead reads into p, which must not be empty. n is 0 at the end of the stream.
func rawRead(fd int32, p []byte) (n int, errno unix.Errno) {
	r, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

// rawWrite writes p, which must not be empty. The runtime ignores the signal of a broken pipe on sockets.
func rawWrite(fd int32, p []byte) (n int, errno unix.Errno) {
	r, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

// rawEvents looks for events without waiting; an error counts as none and shows when the loop waits.
func rawEvents(epoll int, events []unix.EpollEvent) int {
	r, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(r)
}

package reactor

// Why a connection did not come about, or ended: words of a closed list, by which results are counted.

import (
	"strconv"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// The causes, beside "status 503" for an answer other than 101 and "close 1001" for a close frame of the server.
const (
	causeTimeout     = "timeout"
	causeReset       = "reset"
	causeRefused     = "refused"
	causeEnd         = "end of stream" // closed without a close frame
	causeAddress     = "no free address"
	causeDescriptors = "no free descriptor"
	causeUnreachable = "unreachable"
	causeBadAnswer   = "bad answer" // no WebSocket handshake, or a wrong one
	causeProtocol    = "protocol error"
	causeOther       = "other error"
)

func causeOfStatus(status int) string { return "status " + strconv.Itoa(status) }

func causeOfClose(code ws.StatusCode) string { return "close " + strconv.Itoa(int(code)) }

// causeOf names what a system call reported.
func causeOf(errno unix.Errno) string {
	switch errno {
	case unix.ECONNRESET, unix.EPIPE, unix.ECONNABORTED:
		return causeReset
	case unix.ECONNREFUSED:
		return causeRefused
	case unix.ETIMEDOUT:
		return causeTimeout
	case unix.EADDRINUSE, unix.EADDRNOTAVAIL:
		return causeAddress
	case unix.EMFILE, unix.ENFILE:
		return causeDescriptors
	case unix.ENETUNREACH, unix.EHOSTUNREACH:
		return causeUnreachable
	}
	return causeOther
}

// errnoOf is the number in an error of package unix.
func errnoOf(err error) unix.Errno {
	if errno, ok := err.(unix.Errno); ok {
		return errno
	}
	return unix.EIO
}

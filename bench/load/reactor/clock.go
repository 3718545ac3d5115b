package reactor

// The clock that all processes of a machine share.

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// never is later than anything that is due.
const never = int64(math.MaxInt64)

// The runtime's monotonic clock is CLOCK_MONOTONIC, read in user space; only its zero is hidden. Taking one reading
// of both at the start makes the fast one yield the time that other processes know too.
var (
	clockStart  = time.Now()
	clockOffset = monotonic() - int64(time.Since(clockStart))
)

func monotonic() int64 {
	var ts unix.Timespec
	// It fails for clocks that do not exist, which this one does.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// Now is the time of CLOCK_MONOTONIC in nanoseconds. Any goroutine may call it.
func Now() int64 { return clockOffset + int64(time.Since(clockStart)) }

package enginetest

import (
	"fmt"
	"maps"
	"time"
)

// This file holds what a swarm counts and remembers. All of it travels as JSON between processes.

// Stats is a swarm's state and its counters since the start.
type Stats struct {
	// Pending connections are queued, connecting or in the handshake; Open ones answered with 101 and not
	// ended since; Silent ones have sent a partial head and wait (mode PartialHead); Ended ones are over.
	Pending, Open, Silent, Ended int
	// Waiting are those of Ended that will be opened anew, Returned counts those that were (see [Return]).
	Waiting, Returned int
	// Opened counts every 101.
	Opened int
	// Refused counts HTTP answers other than 101 by status.
	Refused map[int]int
	// Failed counts connections that ended before any answer, by cause: the errno of connecting, or "fin",
	// "rst", "local" (closed by this side) or "malformed answer".
	Failed map[string]int
	// Closed counts ended open connections by the server's close code; 1005 is a close frame without one,
	// 1006 an end without a close frame.
	Closed map[int]int
	// Ends counts ended open connections by the way TCP ended.
	Ends map[End]int
	// Messages and Bytes are whole data messages received and their payload; Marked counts those that hold
	// each of Config.Marks.
	Messages, Bytes int64
	Marked          map[string]int64
	// Pings and Pongs were received. Sent are frames handed to open connections, Unsent those for others.
	Pings, Pongs, Sent, Unsent int64
	// Violations counts breaches of RFC 6455 by the server, each of which ended its connection;
	// Violation is the first one.
	Violations int64
	Violation  string
}

func newStats() Stats {
	return Stats{Refused: map[int]int{}, Failed: map[string]int{}, Closed: map[int]int{}, Ends: map[End]int{},
		Marked: map[string]int64{}}
}

// add merges the figures of another loop or child into s.
func (s *Stats) add(o *Stats) {
	s.Pending += o.Pending
	s.Open += o.Open
	s.Silent += o.Silent
	s.Ended += o.Ended
	s.Waiting += o.Waiting
	s.Returned += o.Returned
	s.Opened += o.Opened
	s.Messages += o.Messages
	s.Bytes += o.Bytes
	s.Pings += o.Pings
	s.Pongs += o.Pongs
	s.Sent += o.Sent
	s.Unsent += o.Unsent
	s.Violations += o.Violations
	if s.Violation == "" {
		s.Violation = o.Violation
	}
	addCounts(s.Refused, o.Refused)
	addCounts(s.Failed, o.Failed)
	addCounts(s.Closed, o.Closed)
	addCounts(s.Ends, o.Ends)
	addCounts(s.Marked, o.Marked)
}

func addCounts[K comparable, N int | int64](into, from map[K]N) {
	for k, n := range from {
		into[k] += n
	}
}

func (s *Stats) clone() Stats {
	c := *s
	c.Refused, c.Failed, c.Closed = maps.Clone(s.Refused), maps.Clone(s.Failed), maps.Clone(s.Closed)
	c.Ends, c.Marked = maps.Clone(s.Ends), maps.Clone(s.Marked)
	return c
}

// Sum adds the figures of several swarms.
func Sum(all ...Stats) Stats {
	total := newStats()
	for i := range all {
		total.add(&all[i])
	}
	return total
}

// CloseEvent is the end of one connection.
type CloseEvent struct {
	// Index is the connection's number.
	Index int
	// Status is the HTTP status of a refusal, Code the close code of a connection that was open (as in
	// Stats.Closed). Both are 0 if there was no answer, or if this side ended it without a close frame.
	Status, Code int
	// End says how TCP ended.
	End End
	// OpenedAt is when the 101 was read, zero without one. ClosedAt is when the close frame arrived or, if
	// none did, the end; EndedAt is the end.
	OpenedAt, ClosedAt, EndedAt time.Time
}

// EchoResult is what an echo run measured.
type EchoResult struct {
	// Connections took part.
	Connections int
	// Messages came back within Elapsed.
	Messages int64
	Elapsed  time.Duration
	// Lost are messages whose connection ended, or whose answer had not come when the run was over.
	Lost int64
	// Latency is from sending to reading, one value for each message.
	Latency Histogram
}

// Rate is messages a second.
func (r *EchoResult) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Messages) / r.Elapsed.Seconds()
}

// String is the result in one line.
func (r *EchoResult) String() string {
	return fmt.Sprintf("%d connections, %d messages in %v (%.0f/s), %d lost, latency %v", r.Connections, r.Messages,
		r.Elapsed, r.Rate(), r.Lost, &r.Latency)
}

// merge adds the part of another loop, which ran at the same time.
func (r *EchoResult) merge(o *EchoResult) {
	r.Connections += o.Connections
	r.Messages += o.Messages
	r.Lost += o.Lost
	r.Elapsed = max(r.Elapsed, o.Elapsed)
	r.Latency.Merge(&o.Latency)
}

//go:build linux

package engine

// Messages that take several turns to inflate.

import (
	"testing"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/protocol/deflate/deflatetest"
)

// codeTables is a message of blocks that hold nothing but code tables. It turns out to be none when it has cost some
// ten milliseconds.
func codeTables() []byte {
	return frames(compressedFrame(ws.OpText, deflatetest.CodeTables(60<<10)))
}

// turnsOf gives shares until nobody waits, and counts them.
func turnsOf(t *testing.T, l *Loop, most int) int {
	t.Helper()
	for turns := range most {
		if len(l.waiting) == 0 {
			return turns
		}
		l.resume()
	}
	t.Fatalf("%d connections wait after %d turns", len(l.waiting), most)
	return 0
}

func TestInflationTakesTurns(t *testing.T) {
	s, l, r := looseLoop(t, "turns", 3)
	s.limits.Messages = ratelimit.Rate{}
	codec := &dear{Codec: l.codecs[dialectRawDeflate], server: s}
	l.codecs[dialectRawDeflate] = codec
	conns := make([]*Conn, 3)
	send := func(i int, input []byte) {
		c := l.conns.at(r.members[i] &^ memberFlags)
		conns[i], c.rights, c.dialect = c, s.anonymous.Rights, dialectRawDeflate
		l.begin()
		c.onTraffic(l, input)
		l.finish(c)
	}
	l.own.claim()
	send(0, codeTables())
	if l.inflation == nil || l.inflation.done || !conns[0].waits() || len(l.waiting) != 1 {
		t.Fatalf("it was inflated at once: %+v, %d wait", l.inflation, len(l.waiting))
	}
	// Another one has to wait for the first, and what is small need not wait for either.
	send(1, codeTables())
	l.effort = 0
	send(2, frames(compressedFrame(ws.OpText, squeeze(t, []byte("small")))))
	if len(codec.read) != 1 || len(l.waiting) != 2 || l.inflation.of != conns[0].handle(l) {
		t.Fatalf("%q was read, %d connections wait", codec.read, len(l.waiting))
	}
	if turns := turnsOf(t, l, 10_000); turns < 4 {
		t.Errorf("both took %d turns", turns)
	}
	if l.inflation != nil || l.count.inflateErrors[2] != 2 || conns[0].phase == phaseOpen || conns[1].phase == phaseOpen || conns[2].phase != phaseOpen {
		t.Errorf("in the end: %+v, errors %v, phases %v %v %v", l.inflation, l.count.inflateErrors, conns[0].phase, conns[1].phase, conns[2].phase)
	}
}

// A connection that ends takes what was being inflated for it with it, and the next one has its turn.
func TestInflationEndsWithItsConnection(t *testing.T) {
	s, addr := serve(t, func(o *Options) { compressing(o); o.Loops = 1 })
	other := newBystander(t, addr, enginetest.Options{})
	offer := offering("permessage-deflate", enginetest.Options{})
	for range 4 {
		c := enginetest.Dial(t, addr, "/raw/gone", offer)
		c.SendRaw(codeTables())
		c.Close()
	}
	last := enginetest.Dial(t, addr, "/raw/gone", offer)
	last.SendRaw(codeTables())
	last.ExpectClose(1007)
	other.mustBeServed()
	if !comesTrue(func() bool {
		left := 0
		onLoops(t, s, func(l *Loop) {
			if left += len(l.waiting); l.inflation != nil {
				left++
			}
		})
		return left == 0
	}) {
		t.Error("something is still being inflated")
	}
}

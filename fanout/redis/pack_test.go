package redis

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/roost-ws/roost/fanout"
)

// tally counts what a publication is told.
type tally struct{ told int }

// Published implements [fanout.Completion].
func (c *tally) Published(fanout.Position, error) { c.told++ }

// What is packed is what was in the batch, each room's in its order, with what is kept alone and in its place; and every
// publication is completed once.
func TestPackingLosesNothing(t *testing.T) {
	var k packer // one for all, as a writer has
	rapid.Check(t, func(t *rapid.T) {
		want, got := map[string][]string{}, map[string][]string{}
		var batch []outgoing
		var tallies []*tally
		for i := range rapid.IntRange(1, 60).Draw(t, "publications") {
			o := outgoing{room: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "room")}
			data := rapid.SampledFrom([]int{0, 1, 100, packBytes / 3, packBytes - 20, packBytes, 2 * packBytes}).Draw(t, "bytes")
			text := fmt.Sprintf("%d.%s", i, strings.Repeat("x", data))
			o.envelope = string(fanout.AppendEnvelope(nil, &fanout.Publication{Kind: fanout.Text, Data: []byte(text)}))
			if rapid.IntRange(0, 4).Draw(t, "kept") == 0 {
				o.kept = fanout.Retention{Size: 1, TTL: time.Second}
			}
			if rapid.IntRange(0, 9).Draw(t, "waits") > 0 {
				tallies = append(tallies, &tally{})
				o.done = tallies[len(tallies)-1]
			}
			want[o.room] = append(want[o.room], o.envelope)
			batch = append(batch, o)
		}
		publications := 0
		for _, o := range k.pack(batch) {
			if o.members == 0 {
				publications++
				got[o.room] = append(got[o.room], o.envelope)
			} else if o.kept.Size > 0 || o.members < 2 || len(o.envelope) > packBytes {
				t.Fatalf("a pack of %d has %d bytes, and keeps %d", o.members, len(o.envelope), o.kept.Size)
			} else {
				publications += o.members
				for envelope, err := range fanout.Unpack([]byte(o.envelope)) {
					if err != nil {
						t.Fatal(err)
					}
					got[o.room] = append(got[o.room], string(envelope))
				}
			}
			o.finish(fanout.Position{}, nil)
		}
		k.forget()
		if publications != len(batch) {
			t.Fatalf("%d publications became %d", len(batch), publications)
		}
		for room := range want {
			if !slices.Equal(got[room], want[room]) {
				t.Fatalf("%q: %d publications are changed", room, len(want[room]))
			}
		}
		for i, c := range tallies {
			if c.told != 1 {
				t.Fatalf("completion %d is told %d times", i, c.told)
			}
		}
	})
}

// Between batches a packer holds on to nothing, and making packs of small publications costs one allocation each.
func TestPackerForgets(t *testing.T) {
	envelope := string(fanout.AppendEnvelope(nil, &fanout.Publication{Kind: fanout.Text, Data: []byte("x")}))
	var batch []outgoing
	for i := range 100 {
		batch = append(batch, outgoing{room: fmt.Sprint("room.", i%10), envelope: envelope})
	}
	var k packer
	packs := len(k.pack(batch))
	k.forget()
	if packs != 10 {
		t.Errorf("%d publications in ten rooms make %d packs", len(batch), packs)
	}
	if k.batch != nil || len(k.last) > 0 || slices.ContainsFunc(k.ready[:cap(k.ready)], func(o outgoing) bool { return o.envelope != "" }) {
		t.Error("it holds on to a batch")
	}
	if n := testing.AllocsPerRun(100, func() { k.pack(batch); k.forget() }); n != 10 {
		t.Errorf("ten packs cost %.0f allocations", n)
	}
}

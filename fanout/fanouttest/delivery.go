package fanouttest

// The cases about publications: that they arrive, whole, in order, in their own room.

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/roost-ws/roost/fanout"
)

// A publication sent as soon as Subscribe is confirmed must not be missed.
func deliversAfterSubscribe(t *testing.T, b *bench) {
	n := b.start()
	for i := range 100 {
		room := fmt.Sprintf("after-subscribe.%d", i)
		n.subscribe(room)
		n.Publish(&fanout.Publication{Room: room, Data: []byte("1")}, nil)
		n.recorder.wait(t, room, 1)
	}
	b.atEnd(func() {
		for _, room := range n.recorder.names() {
			if got := n.recorder.texts(room); len(got) != 1 {
				t.Errorf("%q heard %q, want one publication", room, got)
			}
		}
	})
}

// Publishers send without waiting for one another or for the bus; what was taken arrives, in each one's order.
func orderOfEachPublisher(t *testing.T, b *bench) {
	const publishers, rooms, each = 4, 3, 300
	n := b.start()
	var names []string
	for i := range rooms {
		names = append(names, fmt.Sprintf("order.%d", i))
	}
	n.subscribe(names...)
	var taken [rooms]atomic.Int64
	var all sync.WaitGroup
	for publisher := range publishers {
		all.Go(func() {
			for i := range each {
				for room, name := range names {
					done := newOutcome()
					n.Publish(&fanout.Publication{Room: name, From: strconv.Itoa(publisher), Data: strconv.AppendInt(nil, int64(i), 10)}, done)
					all.Go(func() {
						if done.wait() == nil {
							taken[room].Add(1)
						}
					})
					if i%50 == 49 { // lets a bus of any depth catch up
						if err := n.tryPublish(&fanout.Publication{Room: "order.pause"}); err != nil {
							t.Errorf("Publish: %v", err)
							return
						}
					}
				}
			}
		})
	}
	within(t, "Publish", all.Wait)
	for room, name := range names {
		count := int(taken[room].Load())
		if count < publishers*each/10 {
			t.Errorf("%q: only %d publications of %d were taken", name, count, publishers*each)
		}
		last := map[string]int{}
		for _, p := range n.recorder.wait(t, name, count) {
			i, err := strconv.Atoi(string(p.Data))
			if before, heard := last[p.From]; err != nil || heard && i <= before {
				t.Fatalf("%q: %q of publisher %s arrived behind %d", name, p.Data, p.From, before)
			}
			last[p.From] = i
		}
	}
}

// Publications of all sizes wait for the bus together, which may carry several of them at once. Each that was taken
// arrives as it was, in its place; the two rooms do not get into one another.
func burstInOneRoom(t *testing.T, b *bench) {
	const count = 1000
	sizes := []int{0, 1, 30, 30, 127, 128, 30, 5000, 30, 16384, 30, 16380, 40_000}
	n := b.start()
	rooms := []string{"burst.0", "burst.1"}
	n.subscribe(rooms...)
	data := func(room, i int) []byte {
		return bytes.Repeat([]byte{byte(i), byte(i >> 8), byte(room), 0x03}, sizes[i%len(sizes)])[:sizes[i%len(sizes)]]
	}
	var outcomes [2][]*outcome
	for i := range count {
		for room, name := range rooms {
			done := newOutcome()
			n.Publish(&fanout.Publication{Room: name, Kind: fanout.Binary, From: strconv.Itoa(i), Data: data(room, i)}, done)
			outcomes[room] = append(outcomes[room], done)
		}
	}
	for room, name := range rooms {
		var taken []string
		for i, done := range outcomes[room] {
			if done.mustCome(t, fmt.Sprintf("Publish %d in %q", i, name)) == nil {
				taken = append(taken, strconv.Itoa(i))
			}
		}
		if len(taken) < count/10 {
			t.Errorf("%q: only %d publications of %d were taken", name, len(taken), count)
		}
		heard := n.recorder.wait(t, name, len(taken))
		if len(heard) != len(taken) {
			t.Errorf("%q: %d publications were taken and %d are heard", name, len(taken), len(heard))
		}
		for at := range min(len(heard), len(taken)) {
			p := heard[at]
			if i, err := strconv.Atoi(p.From); p.From != taken[at] || err != nil || !bytes.Equal(p.Data, data(room, i)) {
				t.Fatalf("%q: publication %s with %d bytes arrived in the place of %s, or changed", name, p.From, len(p.Data), taken[at])
			}
		}
	}
}

func fieldsSurvive(t *testing.T, b *bench) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	n := b.start()
	for i, want := range []fanout.Publication{
		{Kind: fanout.JSON, Data: []byte(`{"a":[1,2,{"b":"\u0000 } \" ]"}]}`), From: "alice", Time: 1754000000123, Sender: 7, Node: "node-1"},
		{Kind: fanout.JSON, Data: []byte(` null `)},
		{Kind: fanout.JSON, Data: []byte(`{"roomId":"elsewhere","content":1}`), From: "bob", Node: "n"},
		{Kind: fanout.Text, Data: []byte("grüß dich\r\n\x00{"), From: "quo\"te\\ \n\x00 ü", Time: 1, Sender: 1, Node: "a.b:c d"},
		{Kind: fanout.Text, Data: []byte("\x01{"), From: strings.Repeat("u", 300), Time: math.MaxInt64, Sender: math.MaxUint64, Node: strings.Repeat("n", 300)},
		{Kind: fanout.Binary, Data: every, From: "{", Time: 1754000000123, Sender: 1 << 53, Node: "{"},
		{Kind: fanout.Binary, Data: []byte(`{"not":"json`), Time: 1754000000123},
	} {
		want.Room = fmt.Sprintf("fields.%d", i)
		n.subscribe(want.Room)
		sent := want
		if err := n.tryPublish(&sent); err != nil {
			t.Errorf("Publish of %+v: %v", want, err)
			continue
		}
		got := n.recorder.wait(t, want.Room, 1)[0]
		got.Position = fanout.Position{} // the broker's
		if !bytes.Equal(got.Data, want.Data) {
			t.Errorf("data %q arrived as %q", want.Data, got.Data)
		}
		got.Data, want.Data = nil, nil
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("sent %+v\n got %+v", want, got)
		}
	}
}

// One Publication and one buffer are used for everything, and overwritten as soon as Publish returns.
func publicationIsTheCallersAgain(t *testing.T, b *bench) {
	const count = 200
	n := b.start()
	n.subscribe("reused")
	p, data := new(fanout.Publication), make([]byte, 64)
	var outcomes []*outcome
	for i := range count {
		text := fmt.Appendf(data[:0], "%064d", i)
		done := newOutcome()
		*p = fanout.Publication{Room: "reused", Data: text, Kind: fanout.Text, From: strconv.Itoa(i)}
		n.Publish(p, done)
		*p = fanout.Publication{Room: "overwritten", Data: []byte("overwritten"), Kind: fanout.Binary, From: "overwritten"}
		for j := range data {
			data[j] = 'X'
		}
		outcomes = append(outcomes, done)
	}
	taken := 0
	for i, done := range outcomes {
		if done.mustCome(t, fmt.Sprintf("Publish %d", i)) == nil {
			taken++
		}
	}
	if taken == 0 {
		t.Fatal("no Publish was taken")
	}
	for _, p := range n.recorder.wait(t, "reused", taken) {
		if i, err := strconv.Atoi(string(p.Data)); err != nil || strconv.Itoa(i) != p.From || p.Kind != fanout.Text {
			t.Errorf("publication %s arrived with data %q, kind %d", p.From, p.Data, p.Kind)
		}
	}
}

// Nothing and very much: it arrives as it was, or Publish says that it can't be carried and nothing arrives.
func payloadSizes(t *testing.T, b *bench) {
	n := b.start()
	for _, size := range []int{0, 1, 125, 4096, 65535, 65536, 1 << 20} {
		room := fmt.Sprintf("size.%d", size)
		n.subscribe(room)
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i*7 + i>>8)
		}
		err := n.tryPublish(&fanout.Publication{Room: room, Kind: fanout.Binary, Data: data})
		switch {
		case err != nil && size <= 65536:
			t.Errorf("Publish of %d bytes: %v", size, err)
		case err != nil:
			t.Logf("Publish of %d bytes is refused: %v", size, err)
			b.atEnd(func() {
				if len(n.recorder.in(room)) > 0 {
					t.Errorf("%d bytes were refused and arrived all the same", size)
				}
			})
		default:
			if got := n.recorder.wait(t, room, 1)[0].Data; !bytes.Equal(got, data) {
				t.Errorf("%d bytes arrived as %d, or changed", size, len(got))
			}
		}
	}
	n.publish("size.0", "still alive")
	n.recorder.waitFor(t, "size.0", "still alive")
}

// hostileNames are legal room names that a bus may give a meaning, take apart, fold together or escape alike.
var hostileNames = []string{
	".", "..", "...", "-", "--", "~", ":", "::", "_", "0", "00", "-1", "1e3", "nil", "null", "true",
	"a", "A", "a.", ".a", "a..b", "a.b", "a:b", "a-b", "a_b", "a~b", "ab", "a.b.", "a.B",
	"a~2Eb", "a~2eb", "a-2Eb", "a_2Eb", "a.2Eb", "a2Eb", "a~7Eb", "a:2Eb", "a~.b", "a~-b", "a~~b", "a_.b", "a__b",
	"roost:room:a", "roost.room.a", "_INBOX.a", "_SYS.a", "amq.a", "__consumer_offsets", "a:presence", "a:history",
	"p7", "con", "CON", "a.lock", strings.Repeat("x", 127), strings.Repeat("x", 128), strings.Repeat(".", 128),
	strings.Repeat("x", 127) + ".", strings.Repeat("~", 128), strings.Repeat("-", 127) + "_",
}

// Every second name is subscribed; each name is published as itself. What arrives must be just those, unmixed.
func hostileRoomNames(t *testing.T, b *bench) {
	for half := range 2 {
		n := b.start()
		subscribed := map[string]bool{}
		for i, name := range hostileNames {
			if i%2 == half {
				n.subscribe(name)
				subscribed[name] = true
			}
		}
		for _, name := range hostileNames {
			n.publish(name, name)
		}
		for name := range subscribed {
			n.recorder.wait(t, name, 1)
		}
		n.close()
		for _, name := range n.recorder.names() {
			if got := n.recorder.texts(name); len(got) != 1 || got[0] != name {
				t.Errorf("room %q heard %q", name, got)
			}
			if !subscribed[name] && !b.deliversAll {
				t.Errorf("room %q was not subscribed and heard something", name)
			}
		}
	}
}

func manyRooms(t *testing.T, b *bench) {
	const count = 2000
	n := b.start()
	rooms := make([]string, count)
	for i := range rooms {
		rooms[i] = fmt.Sprintf("many.%d", i)
	}
	n.subscribe(rooms...)
	for _, room := range rooms {
		n.publish(room, room)
	}
	for _, room := range rooms {
		if got := n.recorder.wait(t, room, 1)[0]; string(got.Data) != room {
			t.Errorf("%q heard %q", room, got.Data)
		}
	}
	for _, room := range rooms {
		n.Unsubscribe(room)
	}
}

// What one node publishes is heard by both, and by nobody who is not subscribed on its own.
func twoNodes(t *testing.T, b *bench) {
	first, second := b.start(), b.start()
	first.subscribe("nodes.both", "nodes.first")
	second.subscribe("nodes.both")
	for i := range 100 {
		first.publish("nodes.both", strconv.Itoa(i))
		second.publish("nodes.first", strconv.Itoa(i))
	}
	for _, heard := range [][]fanout.Publication{first.recorder.wait(t, "nodes.both", 100),
		second.recorder.wait(t, "nodes.both", 100), first.recorder.wait(t, "nodes.first", 100)} {
		for i, p := range heard {
			if string(p.Data) != strconv.Itoa(i) {
				t.Fatalf("publication %d of %q is %q", i, p.Room, p.Data)
			}
		}
	}
	b.atEnd(func() {
		if got := second.recorder.texts("nodes.first"); len(got) > 0 && !b.deliversAll {
			t.Errorf("the second node heard %q in a room it is not subscribed to", got)
		}
	})
}

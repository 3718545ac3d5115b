package fanouttest

// The cases about what a history keeps and what a page of it holds, while nothing else goes on.

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
)

func positionsCount(t *testing.T, b *bench) {
	n := b.start()
	n.subscribe("count.a", "count.b")
	var epoch string
	for i := range uint64(20) {
		for _, room := range []string{"count.a", "count.b"} {
			pos := n.place(&fanout.Publication{Room: room, Data: strconv.AppendUint(nil, i+1, 10)})
			if pos.Offset != i+1 || pos.Epoch == "" {
				t.Fatalf("publication %d of %q is at %+v", i+1, room, pos)
			}
			if room == "count.a" && i > 0 && pos.Epoch != epoch {
				t.Fatalf("the epoch changes from %q to %q", epoch, pos.Epoch)
			}
			if room == "count.a" {
				epoch = pos.Epoch
			}
		}
	}
	for _, room := range []string{"count.a", "count.b"} {
		for i, p := range n.recorder.wait(t, room, 20) {
			if p.Position.Offset != uint64(i+1) || string(p.Data) != strconv.Itoa(i+1) {
				t.Errorf("%q heard %q at %+v as number %d", room, p.Data, p.Position, i+1)
			}
			if room == "count.a" && p.Position.Epoch != epoch {
				t.Errorf("heard epoch %q, want %q", p.Position.Epoch, epoch)
			}
		}
	}
}

func sinceFindsWhatIsMissing(t *testing.T, b *bench) {
	n := b.start()
	last := n.fill("since", 10)
	for offset := range 11 {
		page := n.history("since", since(at(last, uint64(offset))))
		checkPage(t, fmt.Sprintf("since %d of 10", offset), page, offset+1, 10, true)
		if page.Position != last {
			t.Errorf("since %d: the stream stands at %+v, want %+v", offset, page.Position, last)
		}
	}
}

func trimmedBySize(t *testing.T, b *bench) {
	n := b.start()
	last := n.fill("size", 12)
	checkPage(t, "what is left", n.history("size", since(at(last, 7))), 8, 12, true)
	checkPage(t, "one too far back", n.history("size", since(at(last, 6))), 8, 12, false)
	checkPage(t, "from the beginning", n.history("size", since(at(last, 0))), 8, 12, false)
	checkPage(t, "nothing is missing", n.history("size", since(last)), 13, 12, true)
	checkPage(t, "newest", n.history("size", fanout.Query{Limit: 100, Bytes: 1 << 20}), 8, 12, false)
}

// The publications go when their time is over, the position stays.
func trimmedByTime(t *testing.T, b *bench) {
	n := b.start()
	last := n.fill("time", 3)
	for late := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		page := n.history("time", fanout.Query{Limit: 100, Bytes: 1 << 20})
		if page.Position != last {
			t.Fatalf("the stream stands at %+v, want %+v", page.Position, last)
		}
		if len(page.Publications) == 0 {
			break
		}
		if time.Now().After(late) {
			t.Fatal("the publications are kept far beyond their time")
		}
	}
	checkPage(t, "two are missing", n.history("time", since(at(last, 1))), 2, 1, false)
	checkPage(t, "nothing is missing", n.history("time", since(last)), 4, 3, true)
	if next := n.place(&fanout.Publication{Room: "time", Data: []byte("4")}); next != at(last, 4) {
		t.Errorf("the next publication is at %+v, want it behind %+v", next, last)
	}
}

func sinceNowhere(t *testing.T, b *bench) {
	n := b.start()
	last := n.fill("nowhere", 5)
	for name, pos := range map[string]fanout.Position{
		"another epoch":        {Epoch: last.Epoch + "x", Offset: 3},
		"another epoch's last": {Epoch: last.Epoch + "x", Offset: 5},
		"no epoch":             {Offset: 5},
		"the future":           at(last, 6),
		"the far future":       at(last, 1<<63),
		"an odd epoch":         {Epoch: ": \x00\"*", Offset: 1},
	} {
		if page := n.history("nowhere", since(pos)); page.Complete || page.Position != last {
			t.Errorf("since %s: %d publications, complete %v, at %+v", name, len(page.Publications), page.Complete, page.Position)
		}
	}
}

func limitOfAPage(t *testing.T, b *bench) {
	n := b.start()
	last := n.fill("limit", 10)
	q := since(at(last, 2))
	for limit := 1; limit <= 9; limit++ {
		q.Limit = limit
		checkPage(t, fmt.Sprintf("limit %d", limit), n.history("limit", q), 3, min(2+limit, 10), limit >= 8)
	}
}

// Each publication has 100 bytes of data. One is found however little may be.
func bytesOfAPage(t *testing.T, b *bench) {
	n := b.start()
	var last fanout.Position
	for i := 1; i <= 6; i++ {
		last = n.place(&fanout.Publication{Room: "bytes", Kind: fanout.Binary, Data: fmt.Appendf(nil, "%s%d", strings.Repeat(".", 99), i), From: "somebody"})
	}
	for _, c := range []struct{ bytes, found int }{{1, 1}, {99, 1}, {100, 1}, {199, 1}, {200, 2}, {399, 3}, {400, 4}, {401, 4}} {
		q := since(at(last, 2))
		q.Bytes = c.bytes
		checkPage(t, fmt.Sprintf("since, %d bytes", c.bytes), n.history("bytes", q), 3, 2+c.found, c.found == 4)
		checkPage(t, fmt.Sprintf("newest, %d bytes", c.bytes), n.history("bytes", fanout.Query{Limit: 10, Bytes: c.bytes}), 7-c.found, 6, false)
	}
	q := since(at(last, 2))
	q.Bytes = 0
	checkPage(t, "any amount", n.history("bytes", q), 3, 6, true)
}

func newestPages(t *testing.T, b *bench) {
	n := b.start()
	n.fill("newest", 10)
	for _, limit := range []int{1, 3, 9, 10, 11, 1000} {
		checkPage(t, fmt.Sprintf("limit %d", limit), n.history("newest", fanout.Query{Limit: limit, Bytes: 1 << 20}), max(1, 11-limit), 10, false)
	}
}

// A room that was never published in has a position too, and its first publication is the next one.
func positionAlone(t *testing.T, b *bench) {
	n := b.start()
	before := n.history("position", fanout.Query{})
	if before.Position.Offset != 0 || len(before.Publications) > 0 || before.Complete {
		t.Errorf("a room without publications: %+v", before)
	}
	if again := n.history("position", fanout.Query{}); again.Position != before.Position {
		t.Errorf("asked again it stands at %+v, before at %+v", again.Position, before.Position)
	}
	last := n.fill("position", 3)
	if last != at(before.Position, 3) {
		t.Errorf("three publications later it stands at %+v, before at %+v", last, before.Position)
	}
	if after := n.history("position", fanout.Query{Bytes: 1 << 20}); after.Position != last || len(after.Publications) > 0 {
		t.Errorf("a limit of 0 finds %d publications at %+v, want none at %+v", len(after.Publications), after.Position, last)
	}
	checkPage(t, "all since before", n.history("position", since(before.Position)), 1, 3, true)
}

func nothingKept(t *testing.T, b *bench) {
	n := b.start()
	n.subscribe(unkept + "a")
	if pos := n.place(&fanout.Publication{Room: unkept + "a", Data: []byte("1")}); pos != (fanout.Position{}) {
		t.Errorf("a publication is at %+v in a room that keeps nothing", pos)
	}
	if p := n.recorder.wait(t, unkept+"a", 1)[0]; p.Position != (fanout.Position{}) {
		t.Errorf("a publication is heard at %+v in a room that keeps nothing", p.Position)
	}
	for _, q := range []fanout.Query{{}, {Limit: 10, Bytes: 1000}, since(fanout.Position{Epoch: "e"})} {
		select {
		case r := <-n.ask(unkept+"a", q):
			if !errors.Is(r.err, fanout.ErrNoHistory) {
				t.Errorf("History: %v, want ErrNoHistory", r.err)
			}
		case <-time.After(patience):
			t.Fatal("History is not answered")
		}
	}
}

func fieldsAreKept(t *testing.T, b *bench) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	n := b.start()
	var sent []fanout.Publication
	for _, p := range []fanout.Publication{
		{Kind: fanout.JSON, Data: []byte(`{"a":[1,"\u0000"]}`), From: "alice", Time: 1754000000123, Sender: 7, Node: "node-1"},
		{Kind: fanout.Text, Data: []byte("grüß dich\r\n\x00{"), From: "quo\"te\\ \n\x00 ü"},
		{Kind: fanout.Binary, Data: every, Time: 1, Sender: 1<<64 - 1, Node: "n:1"},
		{Kind: fanout.Text, Data: []byte{}},
	} {
		p.Room = "kept"
		p.Position = n.place(&p)
		sent = append(sent, p)
	}
	page := n.history("kept", since(at(sent[0].Position, 0)))
	if len(page.Publications) != len(sent) || !page.Complete {
		t.Fatalf("%d of %d publications were kept", len(page.Publications), len(sent))
	}
	for i, got := range page.Publications {
		want := sent[i]
		if !bytes.Equal(got.Data, want.Data) {
			t.Errorf("data %q was kept as %q", want.Data, got.Data)
		}
		got.Data, want.Data = nil, nil
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("sent %+v\n got %+v", want, got)
		}
	}
}

// Whoever gets a page may change what is in it, but for the bytes of data, and another gets it unharmed.
func pagesAreTheCallers(t *testing.T, b *bench) {
	n := b.start()
	last := n.fill("mine", 5)
	page := n.history("mine", since(at(last, 0)))
	for i := range page.Publications {
		page.Publications[i] = fanout.Publication{}
	}
	checkPage(t, "another page", n.history("mine", since(at(last, 0))), 1, 5, true)
}

func newsOfMembersAreNotKept(t *testing.T, b *bench) {
	n := b.start()
	n.subscribe("members")
	last := n.fill("members", 1)
	for _, kind := range []fanout.Kind{fanout.MemberJoined, fanout.MemberLeft} {
		if pos := n.place(&fanout.Publication{Room: "members", Kind: kind, From: "alice"}); pos != (fanout.Position{}) {
			t.Errorf("news of a member are at %+v", pos)
		}
	}
	for _, p := range n.recorder.wait(t, "members", 3) {
		if p.Kind >= fanout.MemberJoined && (p.Position != (fanout.Position{}) || p.From != "alice") {
			t.Errorf("news of a member are heard as %+v", p)
		}
	}
	checkPage(t, "beside news of members", n.history("members", since(at(last, 0))), 1, 1, true)
}

// Each name is a stream of its own.
func hostileHistories(t *testing.T, b *bench) {
	n := b.start()
	for _, name := range hostileNames {
		if pos := n.place(&fanout.Publication{Room: name, Kind: fanout.Text, Data: []byte(name)}); pos.Offset != 1 {
			t.Errorf("the first publication in %q is at %+v", name, pos)
		}
	}
	for _, name := range hostileNames {
		page := n.history(name, fanout.Query{Limit: 10, Bytes: 1 << 20})
		if len(page.Publications) != 1 || string(page.Publications[0].Data) != name || page.Publications[0].Room != name {
			t.Errorf("%q keeps %+v", name, page.Publications)
		}
	}
}

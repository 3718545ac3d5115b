//go:build linux

package engine

// Compression over many messages: nothing of them may stay.

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
)

// TestCompressedMessagesLeaveNothing: 100,000 compressed messages of all sizes, from several clients to members some of
// whom compress, and resident memory is what it was when the loops had their buffers.
func TestCompressedMessagesLeaveNothing(t *testing.T) {
	const senders, members, together, margin = 5, 15, 20, 2 << 20
	messages := 100_000
	if testing.Short() || raceEnabled {
		messages = 10_000
	}
	s, addr := serve(t, func(o *Options) { compressing(o); o.Limits.OutboundBytes = 4 << 20 })
	spec := enginetest.Spec{Addrs: []string{addr}, Connections: senders + members, Path: "/raw/all",
		Header: map[string]string{"Sec-WebSocket-Extensions": "permessage-deflate"}, Extended: true}
	squeezed := enginetest.StartChild(t, "", spec)
	spec.Header, spec.Extended, spec.Connections, spec.FirstSource = nil, false, members, 50
	plain := enginetest.StartChild(t, "", spec)
	for _, child := range []*enginetest.Child{squeezed, plain} {
		if st, err := child.Open(0, 0, time.Minute); err != nil || st.Pending > 0 || st.Ended > 0 {
			t.Fatalf("%+v %v", st, err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	// Bundles of messages of 1 B to some 30 KB, most of them short, as chat is.
	bundles := make([][]byte, 10)
	for i := range bundles {
		for range together {
			text := strings.Repeat(fmt.Sprintf("%x and so on ", random.Uint64()), 1+int(20*random.ExpFloat64()*random.ExpFloat64()))
			text = text[:min(1+random.IntN(len(text)), 30<<10)]
			bundles[i] = enginetest.AppendFrame(bundles[i], compressedFrame(ws.OpText, squeeze(t, []byte(text))), true)
		}
	}
	sent := int64(0)
	send := func(n int) {
		t.Helper()
		for end := sent + int64(n); sent < end; sent += senders * together {
			if err := squeezed.Send(0, senders, bundles[random.IntN(len(bundles))]); err != nil {
				t.Fatal(err)
			}
			if sent/(senders*together)%5 != 4 {
				continue
			}
			want := sent + senders*together // some hundreds at a time, so that nobody is too slow
			for child, hear := range map[*enginetest.Child]int64{squeezed: senders + members, plain: members} {
				if st, err := child.WaitFor(time.Minute, func(st *enginetest.Stats) bool { return st.Messages >= want*hear }); err != nil || st.Violations > 0 {
					t.Fatalf("%d of %d messages came: %v, %s", st.Messages, want*hear, err, st.Violation)
				}
			}
		}
	}
	send(10_000)
	warm := resident(t, true)
	before := scrape(s)
	send(messages)
	end := resident(t, true)
	now := scrape(s)
	compressed := now["roost_compressed_total"] - before["roost_compressed_total"]
	t.Logf("%d messages, %v of them compressed for the members: resident %.2f MB, was %.2f MB", messages, compressed, float64(end)/1e6, float64(warm)/1e6)
	if compressed < float64(messages)/2 {
		t.Errorf("%v publications were compressed, want most of %d", compressed, messages)
	}
	if end > warm+margin && !raceEnabled {
		t.Errorf("resident memory grew by %d bytes", end-warm)
	}
	if n := now["roost_buffers_in_use"] + now["roost_outbound_bytes"]; n != 0 {
		t.Errorf("%v buffers or bytes are held", n)
	}
}

package engine

import (
	"testing"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/protocol/frame"
)

func TestCutFrames(t *testing.T) {
	var out []byte
	var ends []int
	for _, n := range []int{0, 5, 125, 126, 70000} {
		out = frame.Append(out, ws.OpText, make([]byte, n))
		ends = append(ends, len(out))
	}
	for sent := range len(out) + 1 {
		wantEnd, wantBehind := 0, 0
		begin := 0
		for _, end := range ends {
			if begin < sent {
				wantEnd = end
			} else {
				wantBehind++
			}
			begin = end
		}
		if end, behind := cutFrames(out, sent); end != wantEnd || behind != wantBehind {
			t.Fatalf("%d sent: %d and %d, want %d and %d", sent, end, behind, wantEnd, wantBehind)
		}
	}
	if end, behind := cutFrames([]byte("HTTP/1.1 101"), 3); end != 12 || behind != 0 {
		t.Errorf("no frames: %d and %d", end, behind)
	}
}

package handshake

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// key is a legal Sec-WebSocket-Key, the one of RFC 6455 section 1.3.
const key = "dGhlIHNhbXBsZSBub25jZQ=="

// upgradeHeaders are those every handshake needs beside Host.
const upgradeHeaders = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n"

// get is a good handshake for target, with more header lines (each with its CRLF) before the empty line.
func get(target string, more ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: example.com\r\n" + upgradeHeaders + strings.Join(more, "") + "\r\n"
}

// verdict is all that can be seen of a handshake, copied, so that two ways of feeding can be compared.
type verdict struct {
	n       int
	parse   Refusal
	upgrade Refusal
	offer   Refusal
	told    string
}

func (v verdict) refusal() Refusal {
	for _, refusal := range []Refusal{v.parse, v.upgrade, v.offer} {
		if refusal != Accepted {
			return refusal
		}
	}
	return Accepted
}

// feed gives input to a Request in pieces that end at cuts and at the end. Each call gets a new array, and the old
// one is overwritten: what is kept must not be a pointer.
func feed(input []byte, lim *Limits, cuts ...int) (r *Request, v verdict) {
	r = new(Request)
	var old []byte
	for _, cut := range append(slices.Clone(cuts), len(input)) {
		p := bytes.Clone(input[:cut])
		for i := range old {
			old[i] = '\n'
		}
		old = p
		if v.n, v.parse = r.Parse(p, lim); v.n > 0 || v.parse != Accepted {
			break
		}
	}
	if v.n == 0 {
		return r, v
	}
	v.upgrade = r.CheckUpgrade()
	var o Offer
	o, v.offer = r.Offer(true)
	var rooms, forwarded []string
	for room := range r.Rooms(nil) {
		rooms = append(rooms, string(room))
	}
	for w, a := r.ForwardedFor(), []byte(nil); ; {
		if a = w.Prev(); a == nil {
			break
		}
		forwarded = append(forwarded, string(a))
	}
	v.told = fmt.Sprintf("%q %q %q %q %q %q %q %q %v %v %q %q %q %+v", r.Target, r.Path, r.RawQuery, r.Host, r.Origin,
		r.Authorization, r.Key, r.UserAgent, r.AsksUpgrade(), r.Extensions(nil), rooms, forwarded, o.Echo, o)
	return r, v
}

// judge feeds input whole, byte by byte, and cut in two at every place (at some, if there are many), and fails if
// the verdict is not the same each time.
func judge(t testing.TB, input string, lim *Limits) (*Request, verdict) {
	t.Helper()
	in := []byte(input)
	r, whole := feed(in, lim)

	step := 1
	if len(in) > 2048 {
		step = len(in)/50 + 1
	}
	for cut := 0; cut < len(in); cut += step {
		if _, v := feed(in, lim, cut); v != whole {
			t.Fatalf("cut at %d: %+v, whole: %+v", cut, v, whole)
		}
	}
	if len(in) <= 2048 {
		cuts := make([]int, len(in))
		for i := range cuts {
			cuts[i] = i
		}
		if _, v := feed(in, lim, cuts...); v != whole {
			t.Fatalf("byte by byte: %+v, whole: %+v", v, whole)
		}
	}
	return r, whole
}

type row struct {
	name  string
	input string
	want  Refusal
}

func runRows(t *testing.T, rows []row) {
	t.Helper()
	lim := DefaultLimits()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, v := judge(t, row.input, &lim)
			if got := v.refusal(); got != row.want {
				t.Fatalf("refusal %v, want %v", got, row.want)
			}
			if row.want == Accepted && v.n == 0 {
				t.Fatal("accepted, but not complete")
			}
		})
	}
}

//go:build loopcheck

// What a loopcheck build notices.

package bufpool

import (
	"strings"
	"testing"
)

func TestLoopcheckPanics(t *testing.T) {
	cases := []struct {
		name string
		act  func(p *Pool)
		want string
	}{
		{"put twice", func(p *Pool) { b := p.Get(10); p.Put(b); p.Put(b) }, "put twice"},
		{"put twice, others in use", func(p *Pool) { p.Get(10); b := p.Get(10); p.Put(b); p.Put(b) }, "put twice"},
		{"large put twice", func(p *Pool) { b := p.Get(200 << 10); p.Put(b); p.Put(b) }, "put twice"},
		{"put again after Grow moved it", func(p *Pool) { b := p.Get(10); p.Grow(b, 100); p.Put(b) }, "put twice"},
		{"put to another loop's pool", func(p *Pool) { New(1000).Put(p.Get(10)) }, "not from this pool"},
		{"written after put", func(p *Pool) { b := p.Get(10)[:10]; p.Put(b); b[3] = 'x'; p.Get(10) }, "1 bytes of a buffer of 64"},
		{"in order", func(p *Pool) { b := p.Get(10); p.Put(b); b = p.Get(10); p.Put(b) }, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				got, _ := recover().(string)
				if !strings.Contains(got, c.want) || (got != "" && c.want == "") {
					t.Fatalf("panic %q, want %q", got, c.want)
				}
			}()
			c.act(New(1 << 20))
		})
	}
}

func TestLoopcheckPoisonsWhatComesBack(t *testing.T) {
	for _, n := range []int{64, 200 << 10} {
		p := New(0) // also what goes to the collector at once
		b := append(p.Get(n), "secret"...)
		p.Put(b)
		for i, x := range b[:cap(b)] {
			if x != poison {
				t.Fatalf("byte %d of %d is %#x after Put", i, cap(b), x)
			}
		}
	}
}

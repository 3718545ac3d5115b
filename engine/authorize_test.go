package engine

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
)

// TestVerifiersGiveWay: on a processor that checks tokens without a pause, others come to their turn all the same, and
// sooner than after the ten milliseconds that the scheduler would leave the verifiers. Counted in processor time, which
// a busy machine does not change.
func TestVerifiersGiveWay(t *testing.T) {
	const tokens, most = 3000, 3 * time.Millisecond
	keys := newSigner(t)
	v, err := auth.New(auth.Options{PublicKeys: keys.public})
	if err != nil {
		t.Fatal(err)
	}
	token := []byte(keys.token(t, "ada"))
	loop := &Loop{}
	loop.mailbox.wake = func() {}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	a := newAuthorizer(v, 0, tokens)
	for i := range tokens {
		if !a.ask(authorizeJob{loop: loop, id: fmt.Append(nil, i)}, token) {
			t.Fatal("no room for a token")
		}
	}
	used := func() time.Duration {
		c, err := enginetest.ReadCPU(0)
		if err != nil {
			t.Fatal(err)
		}
		return c.Run
	}
	began, turns := used(), 0
	a.done.Go(a.work)
	for len(a.jobs) > 0 {
		time.Sleep(100 * time.Microsecond) // as a loop that waits for the kernel
		turns++
	}
	took := used() - began
	a.close()
	t.Logf("%d turns in %v of processor time, one in %v", turns, took, took/time.Duration(turns))
	if took < 10*most {
		t.Fatalf("%d tokens took %v: too little to tell", tokens, took)
	}
	if each := took / time.Duration(turns); each > most {
		t.Errorf("others come to a turn in %v, want one in %v", each, most)
	}
}

package main

import (
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
)

// stormOutcome is what a storm came to.
type stormOutcome struct {
	quiet, burst, whole *enginetest.Histogram // of the guests' echo: before, until everybody was answered, until all were in
	answered, in        time.Duration         // how long those took
	first, refused      int                   // who got in at the first attempt, and refusals
}

func (o *stormOutcome) String() string {
	return fmt.Sprintf("answered after %.1f s: %d let in (%.0f/s), %d refused; all in after %.1f s; echo before %v, until all were answered %v, until all were in %v",
		o.answered.Seconds(), o.first, float64(o.first)/o.answered.Seconds(), o.refused, o.in.Seconds(), o.quiet, o.burst, o.whole)
}

// TestStorm: thousands of clients come at once, each with an RS256 token that the node has not seen, as after a
// deploy. Those who are connected go on being served. Who is refused comes back when it was told to, and in the end
// everybody is in.
func TestStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("needs thousands of tokens")
	}
	const most = 20 * time.Millisecond
	storm, rounds := 1500, 1
	if measures() {
		storm, rounds = 15_000, 3
	}
	keys := newSigner(t)
	tokens := keys.file(t, storm)
	var p99 []time.Duration
	for range rounds {
		o := stormOnce(t, keys, storm, tokens)
		t.Log(o)
		p99 = append(p99, o.burst.Quantile(0.99))
	}
	slices.Sort(p99)
	if median := p99[rounds/2]; measures() && median > most {
		t.Errorf("p99 of an echo until all were answered: %v, want a median of at most %v", p99, most)
	}
}

func stormOnce(t *testing.T, keys *signer, storm int, tokens string) *stormOutcome {
	t.Helper()
	b := besiege(t, 200, append(keys.args, "--rate.messages", "20")...)
	crowd := b.crowd(enginetest.Spec{Connections: storm, InFlight: storm, Path: "/ws?room=lobby-{i%1000}",
		Subprotocols: []string{"roost.v1"}, TokenFile: tokens, Return: enginetest.ReturnAsTold})
	o := &stormOutcome{quiet: b.echo(2 * time.Second), burst: new(enginetest.Histogram), whole: new(enginetest.Histogram)}
	began := time.Now()
	go func() { _, _ = crowd.Open(0, 0, 2*time.Minute) }()
	for o.in == 0 {
		h := b.echo(time.Second / 2)
		o.whole.Merge(h)
		st, err := crowd.Stats()
		if took := time.Since(began); took > 2*time.Minute {
			t.Fatalf("after %v: %+v %v", took, st, err)
		} else if err != nil {
			continue // it is busy with its crowd
		} else if st.Open == storm {
			o.in = took
		}
		if o.answered > 0 {
			continue
		}
		if o.burst.Merge(h); st.Opened+st.Refused[503] >= storm {
			o.answered, o.first = time.Since(began), st.Opened
		}
	}
	st, err := crowd.Stats()
	if err != nil || st.Ended > 0 || len(st.Failed) > 0 || len(st.Refused) > 1 {
		t.Errorf("they were not all let in: %+v %v", st, err)
	}
	o.refused = st.Refused[503]
	if known := slices.Sorted(maps.Keys(st.Refused)); len(known) > 0 && known[0] != 503 {
		t.Errorf("refused with %v", known)
	}
	b.guests.Stop()
	crowd.Stop()
	b.signal(syscall.SIGTERM)
	b.mustExit(0)
	return o
}

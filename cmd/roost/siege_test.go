package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roost-ws/roost/engine/enginetest"
)

// This file is what tests share that look at a real node under pressure: the node, alone on one processor with one
// loop, so that whoever is served at all is served beside the attackers; clients in processes of their own on another
// processor; and some that behave, whose echo is measured.

// measures says whether verdicts about time are wanted: a busy neighbour is no fault of the code.
func measures() bool { return perf && !raceEnabled }

// perf is what ROOST_PERF asked for. A node would take the variable for a setting, so TestMain takes it away.
var perf bool

// signer is what tokens are signed with: the tests' secret, and a key that takes longer to check.
type signer struct {
	key  *rsa.PrivateKey
	args []string // that make a node believe both
}

func newSigner(t testing.TB) *signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	secretFile, keyFile := filepath.Join(t.TempDir(), "secret"), filepath.Join(t.TempDir(), "key.pem")
	for name, text := range map[string][]byte{
		secretFile: []byte(enginetest.Secret),
		keyFile:    pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
	} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &signer{key, []string{"--auth.hmac_secret_file", secretFile, "--auth.public_key_file", keyFile}}
}

// token is one for an hour and all rooms, signed with RS256.
func (s *signer) token(user string) string {
	claims := jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix(), "rooms": []string{"**"}}
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(s.key)
	if err != nil {
		panic(err) // a key that was just made signs
	}
	return token
}

// file has n such tokens of as many users, a line each. All processors are at work on it: a signature takes thirty
// times as long as its check.
func (s *signer) file(t testing.TB, n int) string {
	t.Helper()
	tokens := make([]string, n)
	var next atomic.Int64
	var working sync.WaitGroup
	for range runtime.NumCPU() {
		working.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				tokens[i] = s.token(fmt.Sprintf("user-%d", i))
			}
		})
	}
	working.Wait()
	name := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(name, []byte(strings.Join(tokens, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// besieged is a node under pressure, and guests who behave.
type besieged struct {
	*process
	t      testing.TB
	guests *enginetest.Child
}

// besiege starts a node with its limits at their defaults but where args say otherwise, and so many guests. Both run
// ahead of the machine's other programs where that is allowed: what is measured is what attackers do to a node.
func besiege(t testing.TB, guests int, args ...string) *besieged {
	t.Helper()
	const processors = "GOMAXPROCS"
	before, had := os.LookupEnv(processors)
	_ = os.Setenv(processors, "1")
	b := &besieged{t: t, process: serveNode(t, append(slices.Clone(shortly), append(args, "--loops", "1")...)...)}
	if _ = os.Unsetenv(processors); had {
		_ = os.Setenv(processors, before)
	}
	if err := enginetest.Pin(b.cmd.Process.Pid, 0); err != nil {
		t.Fatal(err)
	}
	enginetest.Hurry(b.cmd.Process.Pid, -20)
	b.guests = b.crowd(enginetest.Spec{Connections: guests, Path: "/raw/guest-{i}", FirstSource: 1000,
		User: "guest-{i}", Rooms: []string{"**"}})
	enginetest.Hurry(b.guests.Pid(), -20)
	if stats, err := b.guests.Open(0, 0, time.Minute); err != nil || stats.Open != guests {
		t.Fatalf("%+v %v", stats, err)
	}
	return b
}

// crowd starts a process of clients on the processor that is not the node's, if there are two.
func (b *besieged) crowd(spec enginetest.Spec) *enginetest.Child {
	b.t.Helper()
	spec.Addrs, spec.CPUs = []string{b.clients}, []int{min(1, runtime.NumCPU()-1)}
	if spec.ReportEvery == 0 {
		spec.ReportEvery = time.Second
	}
	c := enginetest.StartChild(b.t, "swarm", spec)
	enginetest.Hurry(c.Pid(), -10)
	return c
}

// echo has each guest send ten messages a second for a while, and tells how long they took to come back. None may be
// lost.
func (b *besieged) echo(d time.Duration) *enginetest.Histogram {
	b.t.Helper()
	r, err := b.guests.Echo("still there?", enginetest.EchoConfig{Every: time.Second / 10, Duration: d})
	if err != nil || r.Lost > 0 || r.Messages == 0 {
		b.t.Fatalf("echoes of those who behave: %v %v", r, err)
	}
	return &r.Latency
}

// figures are the node's, by name and labels.
func (b *besieged) figures() map[string]float64 {
	b.t.Helper()
	_, text := get(b.t, b.admin, "/metrics")
	figures := map[string]float64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			figures[name] = n
		}
	}
	return figures
}

// resident is the node's memory in bytes.
func (b *besieged) resident() int64 {
	b.t.Helper()
	m, err := enginetest.ReadMemory(b.cmd.Process.Pid)
	if err != nil {
		b.t.Fatal(err)
	}
	return m.RssAnon
}

package admin

// A node with an operator's port, and a client for it.

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/fanout"
)

// port is one node with its operator's port.
type port struct {
	*Admin
	t      testing.TB
	node   *engine.Server
	client string // the client port's address
	drains *atomic.Int64
	log    *enginetest.Log
	broker *oddBroker
}

// setup is what a test wants other than usual. Each may be nil.
type setup struct {
	node  func(*engine.Options)
	admin func(*Options)
	port  func(*Admin) // between New and Start
}

const testKey = "canary-key-of-the-operators-port"

func open(t testing.TB, s setup) *port {
	t.Helper()
	limits := engine.DefaultLimits()
	limits.Messages = ratelimit.Rate{}
	limits.Connections = 1000
	p := &port{t: t, drains: new(atomic.Int64), log: new(enginetest.Log), broker: &oddBroker{Memory: fanout.NewMemory()}}
	options := engine.Options{Listen: []string{"127.0.0.1:0"}, Loops: 2, Node: "test", Broker: p.broker, Limits: limits,
		Log: slog.New(slog.DiscardHandler)}
	if s.node != nil {
		s.node(&options)
	}
	node, err := engine.New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Stop() })
	p.node, p.client = node, node.Addresses()[0].String()
	mine := Options{Server: node, Listen: "127.0.0.1:0", Drain: func() { p.drains.Add(1) },
		Log: slog.New(slog.NewTextHandler(p.log, nil))}
	if s.admin != nil {
		s.admin(&mine)
	}
	if p.Admin, err = New(mine); err != nil {
		t.Fatal(err)
	}
	if s.port != nil {
		s.port(p.Admin)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.shut() })
	return p
}

func (p *port) shut() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = p.Close(ctx)
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request with JSON in its body, if there is a body. Headers are "Name: value"; Host is one of them, and
// one without a value takes the header away.
func (p *port) ask(method, path, body string, headers ...string) reply {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ":")
		value = strings.TrimSpace(value)
		switch {
		case name == "Host":
			r.Host = value
		case value == "":
			r.Header.Del(name)
		default:
			r.Header.Add(name, value)
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: 10 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header, string(b)}
}

// expect asks and fails the test unless the answer has this status and this body but for its line end.
func (p *port) expect(status int, want, method, path, body string, headers ...string) {
	p.t.Helper()
	if got := p.ask(method, path, body, headers...); got.status != status || strings.TrimSuffix(got.body, "\n") != want {
		p.t.Errorf("%s %s %.80s: %d %s, want %d %s", method, path, body, got.status, got.body, status, want)
	}
}

// refused asks and fails the test unless the answer is an error of that form, status and code.
func (p *port) refused(status int, code, method, path, body string, headers ...string) reply {
	p.t.Helper()
	got := p.ask(method, path, body, headers...)
	checkRefused(p.t, got, status, code)
	return got
}

func checkRefused(t testing.TB, got reply, status int, code string) {
	t.Helper()
	var e struct {
		Error struct{ Code, Message string }
	}
	err := json.Unmarshal([]byte(got.body), &e, json.MatchCaseInsensitiveNames(true), json.RejectUnknownMembers(true))
	switch {
	case err != nil:
		t.Errorf("%d %q is no error of the API: %v", got.status, got.body, err)
	case got.status != status || e.Error.Code != code || e.Error.Message == "":
		t.Errorf("%d %s, want %d %s", got.status, got.body, status, code)
	case got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff":
		t.Errorf("headers %v", got.header)
	}
	for name := range got.header {
		if strings.HasPrefix(name, "Access-Control-") || name == "Set-Cookie" {
			t.Errorf("header %s", name)
		}
	}
}

// get asks for JSON and reads it.
func (p *port) get(path string, into any) {
	p.t.Helper()
	got := p.ask(http.MethodGet, path, "")
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
		p.t.Fatalf("GET %s: %d %v %s", path, got.status, got.header, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), into, json.RejectUnknownMembers(true)); err != nil {
		p.t.Fatalf("GET %s: %v in %s", path, err, got.body)
	}
}

// dialTCP opens a bare connection to the operator's port.
func (p *port) dialTCP() net.Conn {
	p.t.Helper()
	var dialer net.Dialer
	c, err := dialer.DialContext(p.t.Context(), "tcp", p.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	return c
}

// oddBroker is a Memory that misbehaves in rooms of certain names.
type oddBroker struct {
	*fanout.Memory
	mu   sync.Mutex
	last []fanout.Publication
}

func (b *oddBroker) Publish(p *fanout.Publication, done fanout.Completion) {
	switch p.Room {
	case "odd.busy":
		done.Published(fanout.Position{}, fanout.ErrBusy)
	case "odd.mute":
	case "odd.broken":
		done.Published(fanout.Position{}, &net.OpError{Op: "write", Net: "tcp", Err: net.UnknownNetworkError("canary-broker-address")})
	case "odd.kept":
		b.mu.Lock()
		b.last = append(b.last, *p)
		b.mu.Unlock()
		done.Published(fanout.Position{Epoch: "e1", Offset: 1 << 60}, nil)
	default:
		b.Memory.Publish(p, done)
	}
}

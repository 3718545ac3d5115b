package admin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// readAnswer reads one answer of a bare connection, and whether the connection then ended.
func readAnswer(t *testing.T, c net.Conn) (reply, bool) {
	t.Helper()
	in := bufio.NewReader(c)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, err = in.ReadByte()
	return reply{answer.StatusCode, answer.Header, string(b)}, errors.Is(err, io.EOF)
}

func TestLargeBodies(t *testing.T) {
	p := open(t, setup{})
	fill := maxBodyBytes - len(`{"room":"a","data":""}`)
	message := p.node.Limits().MessageBytes - len(`""`)
	p.expect(200, `{"offset":0,"epoch":""}`, "POST", "/api/publish", `{"room":"a","data":"`+strings.Repeat("x", message)+`"}`)
	p.refused(413, "too_large", "POST", "/api/publish", `{"room":"a","data":"`+strings.Repeat("x", message+1)+`"}`)
	p.refused(413, "too_large", "POST", "/api/broadcast", `{"rooms":["a"],"data":"`+strings.Repeat("x", message+1)+`"}`)
	p.refused(413, "too_large", "POST", "/api/publish", `{"room":"a","data":"`+strings.Repeat("x", fill+1)+`"}`)
	p.refused(413, "too_large", "POST", "/api/drain", strings.Repeat(" ", maxBodyBytes+1))

	announced := p.dialTCP()
	_, _ = io.WriteString(announced, "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n")
	go func() { // Until the answer comes; then the connection is closed, and this ends with an error.
		for chunk := make([]byte, 64<<10); ; {
			if _, err := announced.Write(chunk); err != nil {
				return
			}
		}
	}()
	if got, _ := readAnswerOnly(t, announced); got.status != 413 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// readAnswerOnly reads one answer and does not look further.
func readAnswerOnly(t *testing.T, c net.Conn) (reply, error) {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return reply{answer.StatusCode, answer.Header, string(b)}, err
}

func TestSlowRequests(t *testing.T) {
	p := open(t, setup{port: func(a *Admin) {
		a.http.ReadTimeout, a.http.ReadHeaderTimeout, a.http.IdleTimeout = 100*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	}})
	body := p.dialTCP()
	_, _ = io.WriteString(body, "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"room\"")
	got, ended := readAnswer(t, body)
	checkRefused(t, got, 408, "timeout")
	if !ended {
		t.Error("the connection is still open")
	}
	cut := p.dialTCP()
	_, _ = io.WriteString(cut, "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"room\"")
	_ = cut.(*net.TCPConn).CloseWrite()
	got, _ = readAnswer(t, cut)
	checkRefused(t, got, 400, "bad_request")
	for name, sent := range map[string]string{"silent": "", "half a head": "GET /healthz HTTP/1.1\r\nHost: local", "idle": "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
		c := p.dialTCP()
		_, _ = io.WriteString(c, sent)
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLargeHead(t *testing.T) {
	p := open(t, setup{})
	for _, head := range []string{"X: " + strings.Repeat("x", 64<<10) + "\r\n", strings.Repeat("X: y\r\n", 20<<10)} {
		c := p.dialTCP()
		go func() { _, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"+head+"\r\n") }()
		if got, _ := readAnswerOnly(t, c); got.status != 431 {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
}

func TestRequestsAtOnce(t *testing.T) {
	p := open(t, setup{port: func(a *Admin) { a.requests = make(chan struct{}, 2); a.answer = 10 * time.Second }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{}, 2)
	for range 2 {
		go func() {
			defer func() { ended <- struct{}{} }()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Addr().String()+"/api/publish", strings.NewReader(`{"room":"odd.mute","data":1}`))
			if err != nil {
				return
			}
			r.Header.Set("Content-Type", "application/json")
			if answer, err := http.DefaultClient.Do(r); err == nil {
				answer.Body.Close()
			}
		}()
	}
	waitFor(t, func() bool { return len(p.requests) == 2 })
	if got := p.refused(503, "unavailable", "GET", "/api/stats", ""); got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
	}
	p.expect(200, "ok", "GET", "/healthz", "")
	cancel()
	<-ended
	<-ended
	waitFor(t, func() bool { return len(p.requests) == 0 })
	if got := p.ask("GET", "/api/stats", ""); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// waitFor looks until something is so, and fails the test after 5 s.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}

func TestConnectionsAtOnce(t *testing.T) {
	p := open(t, setup{})
	var held []net.Conn
	for range maxConnections {
		held = append(held, p.dialTCP())
	}
	waitFor(t, func() bool { return p.connections.Load() == maxConnections })
	if _, err := io.Copy(io.Discard, p.dialTCP()); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("one too many: %v", err)
	}
	for _, c := range held {
		c.Close()
	}
	waitFor(t, func() bool { return p.connections.Load() == 0 })
	p.expect(200, "ok", "GET", "/healthz", "")
}

func TestPanic(t *testing.T) {
	p := open(t, setup{port: func(a *Admin) {
		a.routes = append(a.routes,
			route{"GET", "/panic/{how}", "", func(_ http.ResponseWriter, r *http.Request) {
				if r.PathValue("how") == "index" {
					_ = []int{}[len(r.PathValue("how"))]
				}
				panic("canary " + r.Header.Get("Authorization"))
			}},
			route{"GET", "/abort", "", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }})
	}})
	p.refused(500, "internal", "GET", "/panic/canary", "", "Authorization: Bearer canary")
	p.refused(500, "internal", "GET", "/panic/index", "")
	log := p.log.String()
	if strings.Contains(log, "canary") || !strings.Contains(log, "route=/panic/{how}") || !strings.Contains(log, "index out of range") ||
		strings.Count(log, "level=ERROR") != 2 {
		t.Errorf("log %s", log)
	}
	c := p.dialTCP()
	_, _ = io.WriteString(c, "GET /abort HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if b, err := io.ReadAll(c); err != nil || len(b) != 0 {
		t.Errorf("%q, %v", b, err)
	}
	p.expect(200, "ok", "GET", "/healthz", "")
}

func TestNewAndStartRefuse(t *testing.T) {
	p := open(t, setup{})
	drain := func() {}
	for name, o := range map[string]Options{
		"no server":  {Listen: "127.0.0.1:0", Drain: drain},
		"no address": {Server: p.node, Drain: drain},
		"no drain":   {Server: p.node, Listen: "127.0.0.1:0"},
	} {
		if a, err := New(o); err == nil || a != nil {
			t.Errorf("%s: no error", name)
		}
	}
	a, err := New(Options{Server: p.node, Listen: p.Addr().String(), Drain: drain})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err == nil || a.Addr() != nil || !strings.Contains(err.Error(), p.Addr().String()) {
		t.Errorf("the address is taken, and Start says %v", err)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Close leaves nothing running, whatever was under way: a request that waits for the broker, one whose body does not
// come, and connections that say nothing.
func TestCloseLeavesNothing(t *testing.T) {
	p := open(t, setup{})
	p.openClient("/ws", v1)
	p.expect(200, "ok", "GET", "/healthz", "")
	p.shut()
	before := goleak.IgnoreCurrent()
	a, err := New(Options{Server: p.node, Listen: "127.0.0.1:0", Pprof: true, Drain: func() {}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	a.answer = time.Minute
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	p.Admin = a
	const post = "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n"
	for _, sent := range []string{post + `{"room":"odd.mute","data":1}`, post + `{`, "GET /debug/pprof/profile?seconds=600 HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
		_, _ = io.WriteString(p.dialTCP(), sent)
	}
	waitFor(t, func() bool { return len(a.requests) == 3 })
	p.dialTCP()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := a.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	goleak.VerifyNone(t, before)
}

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
)

// TestHAProxy runs the README's HAProxy configuration before two nodes: wss with a token, a room, a log without the
// token, and a drain in which old tunnels live on, new ones go to the other node, and clients are told to follow.
func TestHAProxy(t *testing.T) {
	outside(t)
	settings := []string{"drain.grace=2s", "drain.window=1s", "drain.reconnect_in=1s"}
	one := start(t, append(settings, "node=one")...)
	two := start(t, append(settings, "node=two")...)
	proxy := startHAProxy(t, one.address, two.address)
	token, err := auth.Mint{HMACSecret: []byte(hmacSecret)}.Token(auth.Claims{User: "ada", Rooms: []string{"**"},
		ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	var first, second *tunnel // leastconn sends them to different nodes, or a third to the first's
	first = proxy.dial(t, token)
	for second = proxy.dial(t, token); second.node != first.node; {
		second = proxy.dial(t, token)
	}
	first.send(t, `{"type":"publish","room":"lobby","data":"through the balancer"}`)
	first.await(t, "message")
	second.await(t, "message")

	leaving := one
	if first.node == "two" {
		leaving = two
	}
	if err := leaving.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	proxy.awaitOther(t, token, first.node)
	first.send(t, `{"type":"ping","id":1}`)
	first.await(t, "pong") // the old tunnel outlives the check that took its node away
	first.await(t, "shutdown")
	if code := first.awaitClose(t); code != ws.StatusGoingAway {
		t.Errorf("closed with %d, want 1001", code)
	}
	if again := proxy.dial(t, token); again.node == first.node {
		t.Errorf("reconnected to %s, which is draining", again.node)
	}
	if said := proxy.log.String(); strings.Contains(said, token) || !strings.Contains(said, "nodes/node") {
		t.Errorf("the log has the token, or no lines at all:\n%s", said)
	}
}

// haproxy is a balancer that runs the README's configuration.
type haproxy struct {
	address string
	log     enginetest.Log
}

// readmeHAProxy is the README's example with this test's addresses in place of the example's.
func readmeHAProxy(t *testing.T, certificate, address string, nodes ...string) string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```haproxy\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("the README has no haproxy example")
	}
	text := string(block[1])
	for old, new := range map[string]string{
		"maxconn 100000":              "maxconn 1000",
		"bind :443":                   "bind " + address,
		"/etc/haproxy/site.pem":       certificate,
		"check inter 2s":              "check inter 50ms",
		"server node1 127.0.0.1:8080": "server node1 " + nodes[0] + "\n    server node2 " + nodes[1],
	} {
		if strings.Count(text, old) != 1 {
			t.Fatalf("the README's haproxy example lacks %q", old)
		}
		text = strings.Replace(text, old, new, 1)
	}
	return text
}

func startHAProxy(t *testing.T, nodes ...string) *haproxy {
	t.Helper()
	program(t, "haproxy")
	h := &haproxy{address: freeAddress(t)}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(readmeHAProxy(t, certificate(t), h.address, nodes...)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("haproxy", "-c", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("haproxy -c: %v\n%s", err, out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, "haproxy", "-db", "-f", file)
	process.Stdout, process.Stderr = &h.log, &h.log
	if err := process.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = process.Wait()
		if t.Failed() {
			t.Logf("haproxy said:\n%s", h.log.String())
		}
	})
	return h
}

// certificate writes a self-signed certificate and its key, and returns the file.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	file := filepath.Join(t.TempDir(), "site.pem")
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// tunnel is one client's connection through the balancer.
type tunnel struct {
	conn net.Conn
	in   io.Reader
	node string
}

// tunnelWithin bounds every wait for the balancer or a node behind it.
const tunnelWithin = 15 * time.Second

// try opens a tunnel, or says why not.
func (h *haproxy) try(token string) (*tunnel, error) {
	dialer := ws.Dialer{Timeout: tunnelWithin, Protocols: []string{"roost.v1", "token." + token},
		TLSConfig: &tls.Config{InsecureSkipVerify: true}} // the certificate is this test's own
	conn, early, _, err := dialer.Dial(context.Background(), "wss://"+h.address+"/ws?room=lobby")
	if err != nil {
		return nil, err
	}
	c := &tunnel{conn: conn, in: conn}
	if early != nil { // the welcome may come in the same segment as the 101
		c.in = early
	}
	message, err := c.read()
	if err != nil {
		conn.Close()
		return nil, err
	}
	c.node, _ = message["node"].(string)
	return c, nil
}

// dial opens a tunnel as soon as the balancer has one to give.
func (h *haproxy) dial(t *testing.T, token string) *tunnel {
	t.Helper()
	for end := time.Now().Add(tunnelWithin); ; {
		c, err := h.try(token)
		if err == nil {
			t.Cleanup(func() { c.conn.Close() })
			return c
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// awaitOther waits until three tunnels in a row come to another node than the one that is leaving.
func (h *haproxy) awaitOther(t *testing.T, token, leaving string) {
	t.Helper()
	for others, end := 0, time.Now().Add(tunnelWithin); others < 3; {
		if time.Now().After(end) {
			t.Fatalf("new tunnels still come to %s", leaving)
		}
		c, err := h.try(token)
		if err != nil {
			others = 0 // 503 of the draining node, before the balancer knows
			continue
		}
		c.conn.Close()
		if others++; c.node == leaving {
			others = 0
		}
	}
}

func (c *tunnel) send(t *testing.T, text string) {
	t.Helper()
	if err := wsutil.WriteClientText(c.conn, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func (c *tunnel) read() (map[string]any, error) { return c.readBy(time.Now().Add(tunnelWithin)) }

// readBy takes the next message and answers the pings before it.
func (c *tunnel) readBy(end time.Time) (map[string]any, error) {
	_ = c.conn.SetReadDeadline(end)
	text, err := wsutil.ReadServerText(struct {
		io.Reader
		io.Writer
	}{c.in, c.conn})
	if err != nil {
		return nil, err
	}
	var message map[string]any
	return message, json.Unmarshal(text, &message)
}

// await reads until a message of a type.
func (c *tunnel) await(t *testing.T, kind string) {
	t.Helper()
	for {
		message, err := c.read()
		if err != nil {
			t.Fatalf("waiting for %s: %v", kind, err)
		}
		if message["type"] == kind {
			return
		}
	}
}

// awaitClose reads until the close frame and returns its code.
func (c *tunnel) awaitClose(t *testing.T) ws.StatusCode {
	t.Helper()
	for {
		_, err := c.read()
		if closed, ok := err.(wsutil.ClosedError); ok {
			return closed.Code
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// believed are the settings by which nodes learn the clients' addresses from a balancer on this machine.
var believed = map[string][]string{
	"haproxy": {"proxy.trusted=127.0.0.0/8", "proxy.mode=require"},
	"nginx":   {"proxy.trusted=127.0.0.0/8"},
}

// idleTimeout finds how much silence a balancer's file allows a tunnel.
var idleTimeout = regexp.MustCompile(`(?:timeout tunnel|proxy_read_timeout) ([0-9]+)s`)

// TestSecure talks through the generated files to two nodes: Node's ws, Chromium, and a client that says nothing for
// longer than the balancer lets a tunnel be silent, and lives by the node's pings.
func TestSecure(t *testing.T) {
	outside(t)
	t.Parallel() // it waits for most of its time
	chromium := program(t, "chromium")
	origin := servePage(t)
	idle := map[string]<-chan error{}
	for _, name := range []string{"haproxy", "nginx"} {
		settings := append([]string{"heartbeat.interval=1s", "heartbeat.timeout=1s", "limits.connections=500", "origins=" + origin}, believed[name]...)
		admins := map[string]string{}
		var nodes []*server
		for _, node := range []string{"one", "two"} {
			s := start(t, slices.Concat(prompt, settings, []string{"node=" + node})...)
			nodes, admins[node] = append(nodes, s), s.admin
		}
		b := startBalancer(t, name, nodes, "none", settings...)
		idle[name] = b.stayIdle(t)
		where, err := json.Marshal(admins)
		if err != nil {
			t.Fatal(err)
		}
		token := pass(t, "canary-user")
		runScript(t, &server{address: b.address}, "browser/secure.mjs", "ROOST_E2E_CHROMIUM="+chromium, "ROOST_E2E_ORIGIN="+origin,
			"ROOST_E2E_MINTED="+token, "ROOST_E2E_ADMINS="+string(where), "NODE_EXTRA_CA_CERTS="+b.site)
		b.refuseBadToken(t)
		said := b.said()
		for end := time.Now().Add(tunnelWithin); !strings.Contains(said, "127.0.0.77:") || !strings.Contains(said, " 401 "); said = b.said() {
			if time.Now().After(end) {
				t.Fatalf("%s has not logged the client and the refusal:\n%s", name, said)
			}
			time.Sleep(20 * time.Millisecond)
		}
		for _, secret := range append(strings.Split(token, ".")[1:], "canary") {
			if strings.Contains(said, secret) {
				t.Errorf("%s logs %s:\n%s", name, secret, said)
			}
		}
	}
	for name, ended := range idle {
		if err := <-ended; err != nil {
			t.Errorf("an idle client through %s: %v", name, err)
		}
	}
}

// refuseBadToken is a handshake that fails, which a balancer logs at once.
func (b *balancer) refuseBadToken(t *testing.T) {
	t.Helper()
	if _, err := b.try("/ws?room=canary-room", "canary.canary.canary"); err == nil {
		t.Error("a bad token opens a tunnel")
	} else if status, ok := err.(ws.StatusError); !ok || status != 401 {
		t.Errorf("a bad token: %v, want 401", err)
	}
}

// stayIdle opens a tunnel that the client sends nothing through but pongs, until two seconds after
// the balancer would have ended it. What then comes of a message is in the channel.
func (b *balancer) stayIdle(t *testing.T) <-chan error {
	t.Helper()
	found := idleTimeout.FindStringSubmatch(b.file)
	if found == nil {
		t.Fatalf("no bound on silence in\n%s", b.file)
	}
	seconds, err := strconv.Atoi(found[1])
	if err != nil || seconds > 35 {
		t.Fatalf("%s lets a tunnel be silent for %s s, too long for a test", b.program, found[1])
	}
	c, err := b.try("/ws", pass(t, "silent"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	wait := time.Duration(seconds+2) * time.Second
	ping := ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewTextFrame([]byte(`{"type":"ping","id":1}`))))
	time.AfterFunc(wait, func() { _, _ = c.conn.Write(ping) }) // one write: the reader's pongs come in between
	ended := make(chan error, 1)
	go func() {
		message, err := c.readBy(time.Now().Add(wait + tunnelWithin))
		if err == nil && message["type"] != "pong" {
			err = fmt.Errorf("the first message after the welcome is %v", message)
		}
		ended <- err
	}()
	return ended
}

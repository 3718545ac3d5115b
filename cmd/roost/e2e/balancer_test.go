package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
)

// balancer is HAProxy or nginx with a file of roost gen. Its dial methods may be called from any goroutine.
type balancer struct {
	program string
	address string
	file    string // the text of the file, as it was made
	site    string // the path of the certificate, which clients trust
	said    func() string
	tls     *tls.Config
}

// startBalancer makes the file for nodes that were started with settings, and runs it until the test is over.
func startBalancer(t *testing.T, program string, nodes []*server, sticky string, settings ...string) *balancer {
	t.Helper()
	b := &balancer{program: program, address: freeAddress(t), site: certificate(t)}
	b.file = b.generate(t, nodes, sticky, settings)
	b.trust(t)
	dir := t.TempDir()
	file, text := filepath.Join(dir, "file"), b.file
	arguments, log := []string{"-db", "-f", file}, &enginetest.Log{}
	b.said = log.String
	if program == "nginx" { // which insists on places that only the machine's own may have
		text = strings.ReplaceAll(text, "/var/log/nginx/", dir+"/")
		text = strings.Replace(text, "worker_processes auto;", "worker_processes auto;\ndaemon off;\npid "+dir+"/pid;", 1)
		arguments = []string{"-e", filepath.Join(dir, "error.log"), "-c", file}
		b.said = func() string {
			access, _ := os.ReadFile(filepath.Join(dir, "access.log"))
			failures, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			return log.String() + string(access) + string(failures)
		}
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(t, log, arguments)
	return b
}

// generate is what roost gen prints.
func (b *balancer) generate(t *testing.T, nodes []*server, sticky string, settings []string) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, n := range nodes {
		addresses = append(addresses, n.address)
	}
	command := exec.CommandContext(t.Context(), path, "gen", b.program, "--nodes="+strings.Join(addresses, ","),
		"--bind="+b.address, "--certificate="+b.site, "--sticky="+sticky)
	for _, setting := range settings {
		command.Args = append(command.Args, "--"+setting)
	}
	command.Env = environment()
	var warned strings.Builder
	command.Stderr = &warned
	text, err := command.Output()
	if err != nil || strings.Contains(warned.String(), "warning: ") {
		t.Fatalf("roost gen %s: %v\n%s", b.program, err, warned.String())
	}
	return string(text)
}

// trust has clients accept this balancer's certificate and no other.
func (b *balancer) trust(t *testing.T) {
	t.Helper()
	chain, err := os.ReadFile(b.site)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(chain) {
		t.Fatal("no certificate to trust")
	}
	b.tls = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
}

func (b *balancer) run(t *testing.T, log *enginetest.Log, arguments []string) {
	t.Helper()
	process := exec.Command(program(t, b.program), arguments...)
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Signal(syscall.SIGTERM) // nginx would leave its workers behind if it were killed
		late := time.AfterFunc(endWithin, func() { _ = process.Process.Kill() })
		_ = process.Wait()
		if late.Stop(); t.Failed() {
			said := b.said()
			t.Logf("%s said, at the end:\n%s", b.program, said[max(0, len(said)-4000):])
		}
	})
	for end := time.Now().Add(tunnelWithin); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", b.address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen: %v\n%s", b.program, err, b.said())
		}
	}
}

// try opens a tunnel and reads its welcome; a refusal by the balancer or a node is an error.
func (b *balancer) try(path, token string) (*tunnel, error) {
	dialer := ws.Dialer{Timeout: tunnelWithin, Protocols: []string{"roost.v1", "token." + token}, TLSConfig: b.tls}
	conn, early, _, err := dialer.Dial(context.Background(), "wss://"+b.address+path)
	if err != nil {
		return nil, err
	}
	c := &tunnel{conn: conn, in: conn}
	if early != nil { // the welcome may come in the same segment as the 101
		c.in = early
	}
	message, err := c.read()
	if c.node, _ = message["node"].(string); err == nil && c.node == "" {
		err = errors.New("the first message is no welcome")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// pass is a token for every room.
func pass(t *testing.T, user string) string {
	t.Helper()
	token, err := auth.Mint{HMACSecret: []byte(hmacSecret)}.Token(auth.Claims{User: user, Rooms: []string{"**"},
		ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

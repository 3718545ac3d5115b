package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
)

// unit is a service of the systemd of this machine, for as long as the test lasts.
type unit struct {
	t    *testing.T
	name string
}

// systemctl runs a command about the unit and returns what it said.
func (u *unit) systemctl(args ...string) string {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	said, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		u.t.Fatalf("systemctl %s: %v\n%s", strings.Join(args, " "), err, said)
	}
	return strings.TrimSpace(string(said))
}

// property is one of the unit's, as systemd knows it.
func (u *unit) property(name string) string {
	u.t.Helper()
	return u.systemctl("show", "--value", "--property", name, u.name)
}

// freePort is one that nobody has at the moment.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// TestUnderSystemd runs a node by the unit that roost gen makes, as a made-up user, under all its hardening: it gets
// ready, serves a client with a token that it checks with a secret which only root may read, feeds the watchdog, and
// ends in order. Where no systemd runs, systemd-analyze verify has read the unit, in the tests of package deploy.
func TestUnderSystemd(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a service of this machine: not with -short")
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs root on a machine that systemd runs")
	}
	dir := fmt.Sprintf("/var/lib/roost-test-%d", os.Getpid()) // the unit hides /tmp
	u := &unit{t, filepath.Base(dir) + ".service"}
	file := filepath.Join("/run/systemd/system", u.name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := exec.Command("journalctl", "--no-pager", "--lines=100", "--unit="+u.name).CombinedOutput()
			t.Logf("journal:\n%s", said)
		}
		_ = exec.Command("systemctl", "stop", u.name).Run()
		_ = os.Remove(file)
		_ = os.RemoveAll(dir)
		_ = exec.Command("systemctl", "daemon-reload").Run()
	})
	clients, port := freePort(t), freePort(t)
	binary, secret, settings := filepath.Join(dir, "roost"), filepath.Join(dir, "secret"), filepath.Join(dir, "roost.yaml")
	copyBinary(t, binary)
	for name, text := range map[string]string{
		secret:   "0123456789abcdef0123456789abcdef\n",
		settings: fmt.Sprintf("listen: %q\nadmin.listen: %q\nauth.hmac_secret_file: %s\nlimits.connections: 1000\nlimits.memory: 1GiB\ndrain: {grace: 0s, window: 0s}\n", clients, port, secret),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(settings, 0o644); err != nil {
		t.Fatal(err)
	}
	made, err := exec.Command("roost", "gen", "systemd", "--config", settings, "--binary", binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, made, 0o644); err != nil {
		t.Fatal(err)
	}
	u.systemctl("daemon-reload")
	u.systemctl("start", u.name) // returns when the node is ready

	if status, _ := get(t, port, "/readyz"); status != http.StatusOK {
		t.Errorf("not ready: %d", status)
	}
	if text := u.property("StatusText"); text != "serving 0 of 1000 connections" {
		t.Errorf("status %q", text)
	}
	token, err := exec.Command("roost", "token", "mint", "--secret-file", secret, "--user", "ada", "--rooms", "lobby").Output()
	if err != nil {
		t.Fatal(err)
	}
	o := speaksV1
	o.Token = strings.TrimSpace(string(token))
	c := enginetest.Dial(t, clients, "/ws?room=lobby", o)
	c.ExpectType("welcome")

	first, over := u.property("WatchdogTimestampMonotonic"), time.Now().Add(time.Minute)
	for look := time.Tick(100 * time.Millisecond); u.property("WatchdogTimestampMonotonic") == first; <-look {
		if time.Now().After(over) {
			t.Fatal("the watchdog is not fed")
		}
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = exec.Command("systemctl", "stop", u.name).Run()
	}()
	expectSentAway(t, c)
	<-stopped
	if state, result, restarts := u.property("ActiveState"), u.property("Result"), u.property("NRestarts"); state != "inactive" || result != "success" || restarts != "0" {
		t.Errorf("ended %s, %s, after %s restarts", state, result, restarts)
	}
}

// copyBinary puts this binary, which runs as roost by that name, where a service may have it.
func copyBinary(t *testing.T, to string) {
	t.Helper()
	from, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

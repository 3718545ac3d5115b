package main

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/roost-ws/roost/engine/enginetest"
)

func TestPassedDescriptors(t *testing.T) {
	const me = 42
	for _, c := range []struct {
		name         string
		passed       passed
		listen       []string
		warning, err string
	}{
		{"none, none wanted", passed{}, []string{":8080"}, "", ""},
		{"passed in another way", passed{}, []string{"fd:7"}, "", ""},
		{"one", passed{"42", "1"}, []string{"fd:3"}, "", ""},
		{"two, in any order", passed{"42", "2"}, []string{"fd:4", ":8080", "fd:3"}, "", ""},
		{"without a process", passed{"", "1"}, []string{"fd:3"}, "", ""},
		{"another process's, none wanted", passed{"41", "1"}, []string{":8080"}, "", ""},
		{"another process's", passed{"41", "1"}, []string{":8080", "fd:3"}, "",
			"listen: fd:3 was passed to process 41 (LISTEN_PID), and this is 42; start roost without a shell or wrapper between, or have that end with exec"},
		{"too few", passed{"42", "1"}, []string{"fd:3", "fd:4"}, "",
			"listen: fd:4 was not passed: LISTEN_FDS is 1, fd:3 alone; give the socket unit a ListenStream= line for each, or remove it here"},
		{"far too few", passed{"42", "2"}, []string{"fd:9"}, "",
			"listen: fd:9 was not passed: LISTEN_FDS is 2, fd:3 to fd:4; give the socket unit a ListenStream= line for each, or remove it here"},
		{"zero", passed{"42", "0"}, []string{"fd:3"}, "",
			"listen: fd:3 was not passed: LISTEN_FDS is 0; give the socket unit a ListenStream= line for each, or remove it here"},
		{"no number", passed{"42", "x"}, []string{"fd:3"}, "",
			`listen: LISTEN_FDS="x" is not a number of descriptors; leave it to the service manager (ListenStream=)`},
		{"beyond all bounds", passed{"42", "9999999"}, []string{"fd:3"}, "",
			`listen: LISTEN_FDS="9999999" is not a number of descriptors; leave it to the service manager (ListenStream=)`},
		{"passed, none wanted", passed{"42", "1"}, []string{":8080"},
			"listen: fd:3 was passed (LISTEN_FDS is 1, fd:3 alone), and nobody is served there; add it to listen, or remove its ListenStream= line", ""},
		{"one too many", passed{"42", "2"}, []string{"fd:3"},
			"listen: fd:4 was passed (LISTEN_FDS is 2, fd:3 to fd:4), and nobody is served there; add it to listen, or remove its ListenStream= line", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			warning, err := c.passed.check(c.listen, me)
			said := ""
			if err != nil {
				said = err.Error()
			}
			if warning != c.warning || said != c.err {
				t.Errorf("warning %q\nerror %q", warning, said)
			}
		})
	}
}

// passing has roost started by a shell that knows its own process number, with listeners from descriptor 3 on.
func passing(t *testing.T, count string, addresses ...*string) func(*exec.Cmd) {
	t.Helper()
	plain := net.ListenConfig{}
	plain.SetMultipathTCP(false)
	var files []*os.File
	for _, address := range addresses {
		l, err := plain.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		*address = l.Addr().String()
		_ = l.Close()
		files = append(files, f)
	}
	return func(c *exec.Cmd) {
		roost := c.Path
		c.Path, c.Args = "/bin/sh", append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, roost}, c.Args[1:]...)
		c.Env = append(os.Environ(), "LISTEN_FDS="+count)
		c.ExtraFiles = files
	}
}

var activated = []string{"--auth.mode", "anonymous", "--origins", "*", "--admin.listen", "127.0.0.1:0", "--drain.grace", "0s", "--drain.window", "0s"}

// TestSocketActivation: two listeners are passed, and clients reach the node by both.
func TestSocketActivation(t *testing.T) {
	var first, second string
	p := launchAs(t, passing(t, "2", &first, &second), append(activated, "--listen", "fd:4,fd:3")...)
	if line := p.await("serving"); line.Listen[0] != second || line.Listen[1] != first {
		t.Errorf("serves on %v, want %s, %s", line.Listen, second, first)
	}
	for _, address := range []string{first, second} {
		c := enginetest.Dial(t, address, "/raw/a", enginetest.Options{Timeout: patience})
		c.SendText("hello")
		c.ExpectText("hello")
	}
}

// TestSocketActivationMistakes: they are said with the setting to mend, before or instead of a start.
func TestSocketActivationMistakes(t *testing.T) {
	var address string
	t.Run("nobody is served there", func(t *testing.T) {
		p := launchAs(t, passing(t, "1", &address), append(activated, "--listen", "127.0.0.1:0")...)
		p.awaitText("listen: fd:3 was passed")
		p.await("serving")
	})
	t.Run("too few", func(t *testing.T) {
		p := launchAs(t, passing(t, "1", &address), append(activated, "--listen", "fd:3,fd:4")...)
		p.mustExit(exitUsage)
		p.awaitText("error: listen: fd:4 was not passed: LISTEN_FDS is 1")
	})
	t.Run("another process's", func(t *testing.T) {
		p := launchAs(t, func(c *exec.Cmd) { c.Env = append(os.Environ(), "LISTEN_PID=1", "LISTEN_FDS=1") }, append(activated, "--listen", "fd:3")...)
		p.mustExit(exitUsage)
		p.awaitText("error: listen: fd:3 was passed to process 1 (LISTEN_PID)")
	})
	t.Run("none", func(t *testing.T) {
		p := launch(t, append(activated, "--listen", "127.0.0.1:0,fd:3")...)
		p.mustExit(exitFailed)
		p.awaitText("error: listen: listening on fd:3: no listener was inherited: descriptor 3 is not ")
		p.awaitText("have the service manager pass it (roost gen systemd --socket), or write an address such as :8080")
	})
}

package sysctl

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The tests of this file are of the real kernel, each in a process of its own with namespaces of its own: what it
// sets badly is nobody else's. They need root.

// inNamespace runs the calling test again in a process with new namespaces. It returns true there, and in the first
// process false once that has ended.
func inNamespace(t *testing.T, namespaces uintptr) bool {
	t.Helper()
	const here = "SYSCTL_TEST_IN_NAMESPACE"
	if os.Getenv(here) == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, for namespaces of its own")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), here+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM):
		t.Skipf("root may not make namespaces here: %v", err)
	case err != nil:
		t.Errorf("in its namespace: %v\n%s", err, out)
	default:
		t.Logf("in its namespace:\n%s", out)
	}
	return false
}

// live is the tuned box with the network of this namespace in the place of its own.
func live(t *testing.T) (root string) {
	t.Helper()
	tree := tuned()
	for name := range tree {
		if strings.HasPrefix(name, "/proc/sys/net/") || strings.HasPrefix(name, "/proc/net/") {
			delete(tree, name)
		}
	}
	root = plant(t, tree)
	for link, target := range map[string]string{"proc/sys/net": "/proc/sys/net", "proc/net": "/proc/self/net"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// badly are the parameters of a network namespace, set so that their row fails or warns.
var badly = []struct {
	row    string
	role   Role
	values []string
	want   Verdict
}{
	{"somaxconn", Node, []string{"net.core.somaxconn", "128"}, Fail},
	{"syn_backlog", Node, []string{"net.ipv4.tcp_max_syn_backlog", "512"}, Warn},
	{"syncookies", Node, []string{"net.ipv4.tcp_syncookies", "0"}, Fail},
	{"abort_on_overflow", Node, []string{"net.ipv4.tcp_abort_on_overflow", "1"}, Warn},
	{"port_range", Balancer, []string{portRange, "32768 60999"}, Fail},
	{"reserved_ports", Balancer, []string{portRange, "1024 65535", reservedPorts, "9000"}, Warn},
	{"tw_reuse", Balancer, []string{"net.ipv4.tcp_tw_reuse", "2"}, Warn},
	{"tcp_rmem", Node, []string{"net.ipv4.tcp_rmem", "4096 131072 33554432"}, Warn},
	{"tcp_wmem", Node, []string{"net.ipv4.tcp_wmem", "4096 16384 4194304"}, Warn},
	{"notsent_lowat", Balancer, []string{"net.ipv4.tcp_notsent_lowat", "4294967295"}, Warn},
	{"tw_buckets", Node, []string{"net.ipv4.tcp_max_tw_buckets", "1000"}, Warn},
	{"fin_timeout", Node, []string{"net.ipv4.tcp_fin_timeout", "120"}, Warn},
	{"keepalive", Balancer, []string{"net.ipv4.tcp_keepalive_time", "7200", "net.ipv4.tcp_keepalive_intvl", "75", "net.ipv4.tcp_keepalive_probes", "9"}, Warn},
	{"retries", Node, []string{"net.ipv4.tcp_retries2", "16"}, Warn},
	{"slow_start_after_idle", Node, []string{"net.ipv4.tcp_slow_start_after_idle", "1"}, Warn},
	{"conntrack_established", Node, []string{trackEstablished, "432000"}, Warn},
}

// TestLiveNetwork sets each parameter of a network namespace badly and sees it reported, mended, passed, and restored.
func TestLiveNetwork(t *testing.T) {
	covered := map[string]bool{"listen_overflows": true} // has a test of its own
	for _, c := range badly {
		covered[c.row] = true
	}
	for _, k := range Knobs() {
		if k.Scope == ScopeNetwork && len(k.Keys)+len(k.Reads) > 0 && !covered[k.ID] {
			t.Errorf("%s is of a network namespace and is not tried in one", k.ID)
		}
	}
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	listener, err := net.Listen("tcp", "0.0.0.0:8080") // which the row about reserved ports is to find
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	root := live(t)
	kernel := tree("/")
	for _, c := range badly {
		t.Run(c.row, func(t *testing.T) {
			for i := 0; i < len(c.values); i += 2 {
				if !kernel.exists(sysctlPath(c.values[i])) {
					t.Skipf("this kernel has no %s in a network namespace", c.values[i])
				}
				if err := kernel.write(sysctlPath(c.values[i]), c.values[i+1]); err != nil {
					t.Fatal(err)
				}
			}
			target := proper
			target.Role = c.role
			check := func() *Row { return find(t, Check(Read(root, properProcess), target), c.row) }
			if row := check(); row.Verdict != c.want {
				t.Fatalf("set badly: %s: %s | %s | %s", row.Verdict, row.Have, row.Need, row.Because)
			}
			err := NewPlan(root, Read(root, properProcess), target).Apply()
			defer func() { _, _ = Undo(root, false) }() // for the next, should this one end early
			if err != nil {
				t.Fatal(err)
			}
			if row := check(); row.Verdict != Pass {
				t.Errorf("after apply: %s: %s | %s | %s", row.Verdict, row.Have, row.Need, row.Because)
			}
			if _, err := Undo(root, false); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(c.values); i += 2 {
				if now, _ := kernel.read(sysctlPath(c.values[i])); normal(now) != c.values[i+1] {
					t.Errorf("after undo %s is %q, was %q", c.values[i], normal(now), c.values[i+1])
				}
			}
		})
	}
	t.Run("machine", func(t *testing.T) { liveMachine(t, root) })
}

// liveMachine: what belongs to the machine can't be seen or changed from a namespace, and that is said.
func liveMachine(t *testing.T, root string) {
	r := Check(Read(root, properProcess), proper)
	for _, id := range []string{"tcp_mem", "max_orphans", "netdev_backlog", "busy_poll"} {
		if row := find(t, r, id); row.Verdict != Skip {
			t.Errorf("%s is %s in a namespace that does not have it", id, row.Verdict)
		}
	}
	if !tree(root).exists(sysctlPath(trackMax)) {
		return
	}
	target := proper
	target.Connections = 5_000_000
	for _, change := range NewPlan(root, Read(root, properProcess), target).Changes {
		if change.Setting.Key == trackMax && !strings.Contains(change.Refused, "belongs to the machine") {
			t.Errorf("%s may be set in a namespace: %q", trackMax, change.Refused)
		}
	}
}

// TestLiveReadOnly: where /proc/sys is read-only nothing is written, not even a file, and the reason is said.
func TestLiveReadOnly(t *testing.T) {
	if !inNamespace(t, unix.CLONE_NEWNET|unix.CLONE_NEWNS) {
		return
	}
	const parameters = "/proc/sys"
	for _, err := range []error{
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(parameters, parameters, "", unix.MS_BIND, ""),
		unix.Mount("", parameters, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	root := live(t)
	target := proper
	target.PerSecond = 60_000
	plan := NewPlan(root, Read(root, properProcess), target)
	if len(plan.Changes) == 0 || plan.Refused() != len(plan.Changes) || len(plan.Files) != 0 {
		t.Errorf("%d changes, %d refused, %d files", len(plan.Changes), plan.Refused(), len(plan.Files))
	}
	for _, c := range plan.Changes {
		if c.Scope == ScopeNetwork && !strings.Contains(c.Refused, "read-only") {
			t.Errorf("%s: %q", c.Name(), c.Refused)
		}
	}
	if err := plan.Apply(); err != nil {
		t.Fatal(err)
	}
	if _, err := Undo(root, false); !errors.Is(err, ErrNothingToUndo) {
		t.Errorf("undo: %v", err)
	}
}

// TestLiveWithoutRoot: an ordinary user is told that it takes root.
func TestLiveWithoutRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		root := plant(t, sysctls("net.core.somaxconn", "128").over(tuned()))
		if err := os.Chmod(root, 0o755); err != nil { // a test's folder belongs to root alone
			t.Fatal(err)
		}
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestLiveWithoutRoot$", "-test.v", "-test.count=1")
		cmd.Env = append(os.Environ(), "SYSCTL_TEST_ROOT="+root)
		cmd.Dir = "/"
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("as nobody: %v\n%s", err, out)
		} else if !strings.Contains(string(out), "that takes root") {
			t.Errorf("as nobody:\n%s", out)
		}
		return
	}
	root := os.Getenv("SYSCTL_TEST_ROOT")
	if root == "" {
		t.Skip("needs root, to have a tree that this user may only read")
	}
	plan := NewPlan(root, Read(root, properProcess), proper)
	if len(plan.Changes) == 0 || plan.Refused() != len(plan.Changes) {
		t.Errorf("%d changes, %d refused", len(plan.Changes), plan.Refused())
	}
	for _, c := range plan.Changes {
		t.Log(c.Name(), c.Refused)
	}
}

// TestThisProcess: what is asked of this process and this machine comes, and asking changes no limit.
func TestThisProcess(t *testing.T) {
	var before, after unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	p := ThisProcess()
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &after); err != nil || after != before {
		t.Errorf("the limit was %+v and is %+v, %v", before, after, err)
	}
	if p.MaxProcs != known(uint64(runtime.GOMAXPROCS(0))) || p.PageSize != known(uint64(os.Getpagesize())) {
		t.Errorf("%+v", p)
	}
	f := Read("/", p)
	if f.OpenFiles != known(before.Max) && before.Max != unix.RLIM_INFINITY || !f.CPUs.Known || !f.MemoryTotal.Known || !f.Live.Sockets.Known {
		t.Errorf("of this machine: %+v", f)
	}
	if before.Max > MostConnections {
		t.Skipf("a limit of %d is more than can be asked for", before.Max)
	}
	r := Check(f, Target{Connections: int(before.Max)})
	if row := find(t, r, "descriptors"); row.Verdict != Fail {
		t.Errorf("as many connections as descriptors: %+v", row)
	}
	if n, _ := room(r.Stops, CauseDescriptors); n != before.Max-reserveDescriptors {
		t.Errorf("%d connections fit into %d descriptors", n, before.Max)
	}
}

func BenchmarkSample(b *testing.B) {
	s := NewSampler("/")
	for b.Loop() {
		s.KernelMemory(s.Sample())
	}
}

func BenchmarkForecast(b *testing.B) {
	f := Read(plant(b, tuned()), properProcess)
	for b.Loop() {
		Forecast(f, proper)
	}
}

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		Read("/", Process{})
	}
}

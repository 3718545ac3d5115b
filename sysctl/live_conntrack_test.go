package sysctl

import (
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLiveConntrack: a table that no rule uses is told from one that is used, where each connection has one entry,
// its two ends on this machine together.
func TestLiveConntrack(t *testing.T) {
	firewall, err := exec.LookPath("nft")
	if err != nil {
		t.Skip("nft is not installed (Debian: nftables)")
	}
	if !tree("/").exists(sysctlPath(trackMax)) {
		t.Skip("this kernel has no connection tracking loaded")
	}
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	up(t)
	target := Target{Connections: MostConnections}
	look := func() (*Row, *Facts) {
		f := Read("/", properProcess)
		return find(t, Check(f, target), "conntrack"), f
	}
	if row, _ := look(); row.Verdict != Fail {
		t.Errorf("an empty table and no connection: %+v", row)
	}
	connect(t, 100)
	if row, f := look(); row.Verdict != Pass || f.Live.Tracked != known(0) || !strings.Contains(row.Because, "nothing is tracked: no entry for 200") {
		t.Errorf("connections and no rule: %+v, %+v", row, f.Live.Tracked)
	}
	rule := exec.Command(firewall, "-f", "-")
	rule.Stdin = strings.NewReader("table inet t { chain c { type filter hook input priority 0; ct state invalid drop; }; }\n")
	if out, err := rule.CombinedOutput(); err != nil {
		t.Skipf("no rules can be made here: %v\n%s", err, out)
	}
	const more = 50
	connectTo(t, "127.0.0.1:8081", more)
	row, f := look()
	most := f.setting(trackMax)
	if row.Verdict != Fail || f.Live.Tracked != known(more) || !most.Known {
		t.Errorf("%d connections and a rule: %+v, %+v", more, row, f.Live.Tracked)
	}
	if n, ok := room(Forecast(f, target), CauseConntrack); !ok || n != most.Value-more {
		t.Errorf("the forecast is %d, of %d entries", n, most.Value)
	}
	target.Held = more
	if n, _ := room(Forecast(f, target), CauseConntrack); n != most.Value {
		t.Errorf("with those held it is %d, of %d entries", n, most.Value)
	}
}

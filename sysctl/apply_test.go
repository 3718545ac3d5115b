package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// snapshot is all files below root, with single blanks, as the kernel's files are compared.
func snapshot(t testing.TB, root string) files {
	t.Helper()
	all := files{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, root)] = normal(string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameFiles(t testing.TB, what string, got, want files) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(got.over(want))) {
		if got[name] != want[name] {
			t.Errorf("%s: %s is %q, want %q", what, name, got[name], want[name])
		}
	}
}

// beyondApply are the cases that no setting puts right, and why.
var beyondApply = map[string]string{
	"file_max/in use": "others have the files open", "file_max/used up": "others have the files open",
	"port_range/reserved ports don't count": "somebody has reserved them",
	"tw_reuse/an ancient kernel":            "the kernel is to be replaced",
	"tcp_mem/above low":                     "the buffers are full", "tcp_mem/above pressure": "the buffers are full",
	"max_orphans/in use": "they are there", "tw_buckets/overflowing": "they are counted since the namespace was made",
	"conntrack/filling": "the table is full", "conntrack/full": "the table is full", "swap/swapped": "swapoff brings it back",
}

// TestApplyMendsAndUndoRestores goes through every case that fails or warns and has a setting: apply mends it, a
// second one finds nothing to do, and undo leaves the tree as it was.
func TestApplyMendsAndUndoRestores(t *testing.T) {
	base := tuned()
	root := plant(t, base)
	settable := map[string]bool{}
	for _, k := range Knobs() {
		settable[k.ID] = k.want != nil
	}
	for _, c := range rowCases() {
		if c.want < Warn || !settable[c.row] {
			continue
		}
		t.Run(c.row+"/"+strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			target, process := proper, properProcess
			if c.target != nil {
				c.target(&target)
			}
			if c.process != nil {
				c.process(&process)
			}
			lay(t, root, c.edit)
			defer lay(t, root, undoneBy(base, c.edit))
			before := snapshot(t, root)
			plan := NewPlan(root, Read(root, process), target)
			sameFiles(t, "after planning", snapshot(t, root), before)
			if err := plan.Apply(); err != nil {
				t.Fatal(err)
			}
			row := find(t, Check(Read(root, process), target), c.row)
			if why, beyond := beyondApply[c.row+"/"+c.name]; (row.Verdict < Warn) == beyond {
				t.Errorf("after apply: %s: %s | %s | %s (%s)", row.Verdict, row.Have, row.Need, row.Because, why)
			}
			if again := NewPlan(root, Read(root, process), target); len(again.Changes) > 0 {
				t.Errorf("a second apply would change %+v", again.Changes)
			}
			steps, err := Undo(root, false)
			if err != nil && (len(plan.Changes)+len(plan.Files) > 0 || !errors.Is(err, ErrNothingToUndo)) {
				t.Fatal(err)
			}
			for _, s := range steps {
				if s.Left != "" {
					t.Errorf("left %s: %s", s.String(), s.Left)
				}
			}
			sameFiles(t, "after undo", snapshot(t, root), before)
		})
	}
}

// TestNothingGetsWorse: whatever is there, what is written in its place is better or the same, number by number, and
// to settle it again changes nothing.
func TestNothingGetsWorse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := func(name string, n int) []uint64 {
			return rapid.SliceOfN(rapid.Uint64(), n, n).Draw(t, name)
		}
		n := rapid.IntRange(1, 3).Draw(t, "numbers")
		old, wanted := numbers("have", n), numbers("want", n)
		text := func(all []uint64) string { return strings.Trim(fmt.Sprint(all), "[]") }
		s := Setting{Key: "a.b", Value: text(wanted), Direction: rapid.SampledFrom([]Direction{AtLeast, AtMost, Widest}).Draw(t, "direction")}
		got := s.settle(text(old))
		for i, v := range parseFigures(got) {
			lower := s.Direction == AtMost || s.Direction == Widest && i == 0 || s.Direction == Widest && i == 2
			if lower && (v > old[i] || v > wanted[i]) || !lower && (v < old[i] || v < wanted[i]) {
				t.Errorf("%d: of %d and %d came %d", s.Direction, old[i], wanted[i], v)
			}
		}
		if again := s.settle(got); again != got {
			t.Errorf("%q settles to %q", got, again)
		}
	})
	for _, have := range []string{"", "garbage", "1 2 3 4"} {
		s := Setting{Value: "1 2 3", Direction: AtLeast}
		if got := s.settle(have); got != "1 2 3" {
			t.Errorf("over %q: %q", have, got)
		}
	}
}

// TestPlanKeepsWhatIsHigher: one number of three is too low, and the others stay above what is needed.
func TestPlanKeepsWhatIsHigher(t *testing.T) {
	root := plant(t, sysctls("net.ipv4.tcp_mem", "900000 950000 1000").over(tuned()))
	if err := NewPlan(root, Read(root, properProcess), proper).Apply(); err != nil {
		t.Fatal(err)
	}
	if now, _ := tree(root).read(sysctlPath(tcpMem)); now != "900000 950000 940000\n" {
		t.Errorf("%q", now)
	}
	if text, _ := tree(root).read(sysctlFile); !strings.Contains(text, "\nnet.ipv4.tcp_mem = 900000 950000 940000\n") {
		t.Errorf("%q", text)
	}
}

// TestApplyTwice: the second apply's file has what the first one needed too, and one undo takes back both.
func TestApplyTwice(t *testing.T) {
	root := plant(t, sysctls("net.core.somaxconn", "128", "net.ipv4.tcp_max_syn_backlog", "128").over(tuned()))
	before := snapshot(t, root)
	target := proper
	for _, perSecond := range []int{2000, 20_000} {
		target.PerSecond = perSecond
		if err := NewPlan(root, Read(root, properProcess), target).Apply(); err != nil {
			t.Fatal(err)
		}
	}
	text, _ := tree(root).read(sysctlFile)
	for _, line := range []string{"net.core.somaxconn = 20000\n", "net.ipv4.tcp_max_syn_backlog = 20000\n", "net.ipv4.tcp_max_tw_buckets = 1200000\n"} {
		if strings.Count(text, line) != 1 {
			t.Errorf("%q has not %q", text, line)
		}
	}
	if _, err := Undo(root, true); err != nil {
		t.Fatal(err)
	}
	if now, _ := tree(root).read(sysctlPath("net.core.somaxconn")); now != "20000\n" {
		t.Errorf("a dry undo has made it %q", now)
	}
	if _, err := Undo(root, false); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, "after undo", snapshot(t, root), before)
	if _, err := Undo(root, false); !errors.Is(err, ErrNothingToUndo) {
		t.Errorf("a second undo: %v", err)
	}
}

// TestUndoLeavesOthersChanges: what somebody has set since stays, and is said.
func TestUndoLeavesOthersChanges(t *testing.T) {
	root := plant(t, sysctls("net.core.somaxconn", "128", "net.ipv4.tcp_max_syn_backlog", "128").over(tuned()))
	if err := NewPlan(root, Read(root, properProcess), proper).Apply(); err != nil {
		t.Fatal(err)
	}
	lay(t, root, sysctls("net.core.somaxconn", "30000").over(files{sysctlFile: "net.core.somaxconn = 30000\n"}))
	steps, err := Undo(root, false)
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, s := range steps {
		if s.Left == changedSince {
			left++
		}
	}
	if now := snapshot(t, root); left != 2 || now[sysctlPath("net.core.somaxconn")] != "30000" || now[sysctlPath("net.ipv4.tcp_max_syn_backlog")] != "128" ||
		now[sysctlFile] != "net.core.somaxconn = 30000" {
		t.Errorf("%d left; %+v", left, steps)
	}
}

// TestInterruptedApply: whatever was written by the time that an apply was cut short, undo restores it.
func TestInterruptedApply(t *testing.T) {
	bad := sysctls("net.core.somaxconn", "128", "net.ipv4.tcp_max_syn_backlog", "128", "net.ipv4.tcp_slow_start_after_idle", "1")
	for done := range 4 {
		for _, second := range []bool{false, true} {
			root := plant(t, bad.over(tuned()))
			before := snapshot(t, root)
			target := proper
			if second { // cut short is the second apply, for more, after one that went through
				if err := NewPlan(root, Read(root, properProcess), target).Apply(); err != nil {
					t.Fatal(err)
				}
				target.PerSecond = 20_000
			}
			plan := NewPlan(root, Read(root, properProcess), target)
			j, err := openJournal(tree(root))
			if err != nil {
				t.Fatal(err)
			}
			for i := range plan.Changes {
				c := &plan.Changes[i]
				if i < done {
					err = plan.set(j, c)
				} else if i == done { // noted and not written
					err = j.noteValue(c.Setting.File(), c.From, c.Setting.Value)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Undo(root, false); err != nil && !(done == 0 && errors.Is(err, ErrNothingToUndo)) {
				t.Fatal(err)
			}
			sameFiles(t, fmt.Sprintf("after %d changes, second %v", done, second), snapshot(t, root), before)
		}
	}
}

// TestApplyGoesOn: a change that fails is an error, after the others have been made.
func TestApplyGoesOn(t *testing.T) {
	root := plant(t, sysctls("net.core.somaxconn", "128", "net.ipv4.tcp_max_syn_backlog", "128").over(tuned()))
	plan := NewPlan(root, Read(root, properProcess), proper)
	lay(t, root, sysctls("net.core.somaxconn", absent))
	err := plan.Apply()
	if err == nil || !strings.Contains(err.Error(), "/proc/sys/net/core/somaxconn") {
		t.Errorf("%v", err)
	}
	if now := snapshot(t, root)[sysctlPath("net.ipv4.tcp_max_syn_backlog")]; now != "8192" {
		t.Errorf("the other is %q", now)
	}
}

// TestJournalThatCantBeRead: nothing is changed without a way back.
func TestJournalThatCantBeRead(t *testing.T) {
	for name, text := range map[string]string{"garbage": "{", "another version": `{"version": 2}`} {
		root := plant(t, sysctls("net.core.somaxconn", "128").over(files{undoFile: text}).over(tuned()))
		before := snapshot(t, root)
		if err := NewPlan(root, Read(root, properProcess), proper).Apply(); err == nil || !strings.Contains(err.Error(), undoFile) {
			t.Errorf("%s: apply: %v", name, err)
		}
		if _, err := Undo(root, false); err == nil || errors.Is(err, ErrNothingToUndo) {
			t.Errorf("%s: undo: %v", name, err)
		}
		sameFiles(t, name, snapshot(t, root), before)
	}
}

// TestJournalThatCantBeWritten is the same for a folder that takes no file.
func TestJournalThatCantBeWritten(t *testing.T) {
	root := plant(t, sysctls("net.core.somaxconn", "128").over(files{filepath.Dir(undoFile): "a file in the folder's place"}).over(tuned()))
	before := snapshot(t, root)
	err := NewPlan(root, Read(root, properProcess), proper).Apply()
	if err == nil || !strings.HasPrefix(err.Error(), "nothing has been changed") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	sameFiles(t, "without a way back", snapshot(t, root), before)
}

// TestLimitsFile: written where it helps, and not where a login would be refused for it.
func TestLimitsFile(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  files
		raise Figure
		want  bool
	}{
		{"low", limits("65536"), known(1), true},
		{"low, and unknown whether it may be raised", limits("65536"), Figure{}, true},
		{"enough", limits("524288"), known(1), false},
		{"nobody may raise it", limits("20000"), known(0), false},
		{"nr_open is raised with it", sysctls("fs.nr_open", "100000").over(limits("65536")), known(1), true},
		{"nr_open unseen", sysctls("fs.nr_open", absent).over(limits("65536")), known(1), false},
	} {
		root, process := plant(t, c.edit.over(tuned())), properProcess
		process.MayRaise = c.raise
		plan := NewPlan(root, Read(root, process), proper)
		if err := plan.Apply(); err != nil {
			t.Fatal(err)
		}
		text := snapshot(t, root)[limitsFile]
		if (text != "") != c.want || c.want && !strings.Contains(text, "* hard nofile 204096 root soft nofile 204096 root hard nofile 204096") {
			t.Errorf("%s: %q", c.name, text)
		}
		if told := strings.Contains(strings.Join(plan.Advice, "\n"), limitsFile+" is not written"); told == (c.want || c.name == "enough") {
			t.Errorf("%s: advice %q", c.name, plan.Advice)
		}
	}
}

// TestOverriders: a file that is read later and says otherwise undoes the work at the next start.
func TestOverriders(t *testing.T) {
	root := plant(t, sysctls("net.core.somaxconn", "128").over(files{
		"/etc/sysctl.d/99-zz.conf":     "# ours\n-net/core/somaxconn = 512\nnet.ipv4.tcp_fin_timeout=7\n",
		"/usr/lib/sysctl.d/10-a.conf":  "net.core.somaxconn = 100\n",
		"/run/sysctl.d/99-zzz.conf":    "net.core.somaxconn = 4096\n",
		"/etc/sysctl.d/99-zz.conf.bak": "net.core.somaxconn = 5\n",
		"/etc/sysctl.conf":             "net.core.somaxconn = 6\nnot an assignment\n",
	}).over(tuned()))
	advice := NewPlan(root, Read(root, properProcess), proper).Advice
	want := []string{"/etc/sysctl.d/99-zz.conf sets net.core.somaxconn = 512", "/etc/sysctl.conf sets net.core.somaxconn = 6"}
	if len(advice) != len(want) || !strings.HasPrefix(advice[0], want[0]) || !strings.HasPrefix(advice[1], want[1]) {
		t.Errorf("%q", advice)
	}
}

// TestHugePagesSurvive: a file that is no parameter goes into tmpfiles.d.
func TestHugePagesSurvive(t *testing.T) {
	root := plant(t, files{hugePages + "enabled": "[always] madvise never\n"}.over(tuned()))
	if err := NewPlan(root, Read(root, properProcess), proper).Apply(); err != nil {
		t.Fatal(err)
	}
	now := snapshot(t, root)
	if now[maxPtesNone] != "0" || !strings.HasSuffix(now[tmpfilesFile], "w "+maxPtesNone+" - - - - 0") || now[sysctlFile] != "" {
		t.Errorf("%q %q %q", now[maxPtesNone], now[tmpfilesFile], now[sysctlFile])
	}
}

// FuzzAssignments: what is read of a file for sysctl.d reads the same once it has been written by us.
func FuzzAssignments(f *testing.F) {
	for _, text := range []string{"net.core.somaxconn = 4096\n", "-net/ipv4/tcp_mem=1  2\t3\n# no\n;no\n", "a=\n=b\nnothing\n", "a = b = c"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first := map[string]string{}
		for key, value := range assignments(text) {
			if strings.ContainsAny(key+value, "\n") {
				t.Errorf("%q assigns %q = %q", text, key, value)
			}
			if key != "" && !strings.HasPrefix(key, "#") && !strings.HasPrefix(key, ";") && !strings.HasPrefix(key, "-") {
				first[key] = value
			}
		}
		again := map[string]string{}
		for key, value := range assignments(sysctlText(nil, text)) {
			again[key] = value
		}
		for key, value := range first {
			if again[key] != value {
				t.Errorf("%q: %q was %q and is %q", text, key, value, again[key])
			}
		}
	})
}

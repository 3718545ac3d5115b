package sysctl

import (
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestParseFigures(t *testing.T) {
	for _, c := range []struct {
		text string
		want Figure
	}{
		{"4096\n", known(4096)}, {" 0 ", known(0)}, {"max\n", known(Unlimited)}, {"unlimited", known(Unlimited)},
		{"18446744073709551615", known(math.MaxUint64)},
		{"", Figure{}}, {"-1", Figure{}}, {"12 13", Figure{}}, {"0x10", Figure{}}, {"1e3", Figure{}}, {"18446744073709551616", Figure{}},
	} {
		if got := parseFigure(c.text); got.Known != c.want.Known || got.Known && got != c.want {
			t.Errorf("%q: %+v, want %+v", c.text, got, c.want)
		}
	}
	if got := parseFigures("4096\t131072\t33554432\n"); !slices.Equal(got, []uint64{4096, 131072, 33554432}) {
		t.Error(got)
	}
	if got := parseFigures("4096 x"); got != nil {
		t.Error(got)
	}
}

func TestParseTables(t *testing.T) {
	const status = "Name:\tVmSwap:\nVmSwap:\t  12 kB\nshort\nVmHuge: 99999999999999999999 kB\nVmWide: 18446744073709551615 kB\n"
	if got := parseNamed(status, "VmSwap:"); got != known(12<<10) {
		t.Error(got)
	}
	for _, name := range []string{"short", "VmHuge:", "VmWide:", "absent"} {
		if got := parseNamed(status, name); got.Known {
			t.Error(name, got)
		}
	}
	if pairs := parsePairs("UDP: inuse 1\nTCP: inuse 5 orphan x tw 3 mem\n", "TCP:"); len(pairs) != 2 || pairs["inuse"] != 5 || pairs["tw"] != 3 {
		t.Error(pairs)
	}
	const netstat = "IpExt: InNoRoutes\nIpExt: 7\nTcpExt: A B C\nTcpExt: 1 -1\n"
	if values := parseTwoLines(netstat, "TcpExt:"); len(values) != 1 || values["A"] != 1 {
		t.Error(values)
	}
	if values := parseTwoLines("TcpExt: A\n", "TcpExt:"); values != nil {
		t.Error(values)
	}
	if taken, dropped := parseSoftnet("00000010 00000001 0\n0000000f 00000002 0\n"); taken != known(31) || dropped != known(3) {
		t.Error(taken, dropped)
	}
	if taken, _ := parseSoftnet("00000010\n"); taken.Known {
		t.Error(taken)
	}
	if taken, _ := parseSoftnet(""); taken.Known {
		t.Error(taken)
	}
	if soft, hard := parseLimit("Max open files  1024  unlimited  files\n", "Max open files"); soft != known(1024) || hard != known(Unlimited) {
		t.Error(soft, hard)
	}
}

func TestParseLists(t *testing.T) {
	for text, want := range map[string]Figure{"0-7\n": known(8), "0": known(1), "0-1,4,6-7": known(5), "": {}, "7-0": {}, "a": {}, "0-99999999": {}} {
		if got := parseCPUList(text); got != want && (got.Known || want.Known) {
			t.Errorf("%q: %+v", text, got)
		}
	}
	for text, want := range map[string]string{"always [madvise] never\n": "madvise", "never": "", "[never": "", "": ""} {
		if got := parseChosen(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	reserved := parsePorts("22,8000-8100,x,99999\n")
	for port, want := range map[uint16]bool{22: true, 23: false, 8000: true, 8100: true, 8101: false} {
		if reserved(port) != want {
			t.Errorf("port %d reserved: %v", port, !want)
		}
	}
	if list := portRanges(reserved); list != "22,8000-8100" {
		t.Error(list)
	}
	if list := portRanges(parsePorts("65535,9000,0,8999-9001")); list != "0,8999-9001,65535" {
		t.Error(list)
	}
	listening := parseListening("  sl  local_address rem st\n 0: 00000000:1F90 0:0 0A\n 1: 00000000000000000000000000000000:01BB 0:0 0A x\n 2: 0:0016 0:0 01\n 3: 0:0017 0:0 0A\n")
	if !slices.Equal(listening, []uint16{8080, 443}) {
		t.Error(listening)
	}
}

func TestVersion(t *testing.T) {
	for text, want := range map[string][2]uint64{"6.18.44-fc": {6, 18}, "4.9": {4, 9}, "5.4+": {5, 4}, "": {}, "x.y": {}, "7": {7, 0}} {
		major, minor := version(text)
		if major != want[0] || minor != want[1] {
			t.Errorf("%q: %d.%d", text, major, minor)
		}
	}
}

func TestQuantities(t *testing.T) {
	for v, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 262144: "262,144", 1048576: "1,048,576", Unlimited: "unlimited", math.MaxInt64: "unlimited"} {
		if got := count(v); got != want {
			t.Errorf("%d: %q", v, got)
		}
	}
	for v, want := range map[float64]string{0: "0 B", 531: "531 B", 4100: "4.1 kB", 4.1e9: "4.1 GB", 19_200_000: "19.2 MB", 1.5e12: "1.5 TB"} {
		if got := size(v); got != want {
			t.Errorf("%v: %q", v, got)
		}
	}
}

// FuzzParse gives one text to every parser: none may panic, and a figure that is known was written there.
func FuzzParse(f *testing.F) {
	for _, text := range tuned() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := parseFigure(text); got.Known && got.Value < noLimit && !strings.ContainsAny(text, "0123456789") {
			t.Errorf("%q reads as %d", text, got.Value)
		}
		for _, name := range []string{"MemTotal:", "TCP:", "TcpExt:", "Max open files", "slab"} {
			parseNamed(text, name)
			parsePairs(text, name)
			parseTwoLines(text, name)
			parseLimit(text, name)
		}
		parseFigures(text)
		parseSoftnet(text)
		if n := parseCPUList(text); n.Known && n.Value == 0 {
			t.Errorf("%q names no processors and is known", text)
		}
		if word := parseChosen(text); !strings.Contains(text, word) {
			t.Errorf("%q has not %q", text, word)
		}
		parseSoftirqs(text)
		parseListening(text)
		parsePorts(text)(8080)
		version(text)
	})
}

// FuzzTree damages one file of the tuned box with a text: no report panics, and what a row needs from that file and is
// not there anymore does not pass.
func FuzzTree(f *testing.F) {
	base := tuned()
	names := slices.Sorted(maps.Keys(base))
	for i := range names {
		f.Add(uint8(i), "garbage here\n")
	}
	for _, text := range []string{"", "max\n", "-1\n", "18446744073709551615\n", "9223372036854775807 1 2\n", "0::/../..\n"} {
		f.Add(uint8(len(text)), text)
	}
	root := plant(f, base)
	needs := map[string]string{"/proc/self/limits": "descriptors", "/proc/sys/net/core/somaxconn": "somaxconn", "/proc/meminfo": "memory",
		"/proc/sys/net/ipv4/tcp_mem": "tcp_mem", "/proc/sys/fs/file-nr": "file_max", "/proc/net/netstat": "listen_overflows"}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		name := names[int(which)%len(names)]
		if strings.HasSuffix(name, "/") {
			return
		}
		edit := files{name: text}
		lay(t, root, edit)
		defer lay(t, root, undoneBy(base, edit))
		r := Check(Read(root, properProcess), proper)
		if err := errors.Join(r.WriteText(io.Discard), r.WriteJSON(io.Discard)); err != nil {
			t.Error(err)
		}
		if id := needs[name]; id != "" && !strings.ContainsAny(text, "0123456789") && !strings.Contains(text, "unlimited") && !strings.Contains(text, "max") {
			if row := find(t, r, id); row.Verdict != Skip {
				t.Errorf("%s is %s by %q in %s", id, row.Verdict, text, name)
			}
		}
	})
}

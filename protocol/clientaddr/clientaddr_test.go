package clientaddr

import (
	"net/netip"
	"slices"
	"testing"
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestTrust(t *testing.T) {
	trust := NewTrust(append(prefixes("10.0.0.0/8", "192.0.2.7/32", "2001:db8:1::/48", "fe80::/10", "::ffff:198.51.100.0/120",
		"172.16.3.4/12"), netip.Prefix{}))
	for _, c := range []struct {
		name, addr string
		want       bool
	}{
		{"inside", "10.255.0.1", true},
		{"first", "10.0.0.0", true},
		{"outside", "11.0.0.0", false},
		{"single address", "192.0.2.7", true},
		{"beside the single address", "192.0.2.8", false},
		{"mapped", "::ffff:10.1.2.3", true},
		{"mapped, outside", "::ffff:11.1.2.3", false},
		{"IPv6", "2001:db8:1:ffff::1", true},
		{"IPv6, outside", "2001:db8:2::1", false},
		{"with a zone", "fe80::1%eth0", true},
		{"by a mapped network", "198.51.100.77", true},
		{"by a mapped network, outside", "198.51.101.77", false},
		{"bits beyond the length", "172.16.0.1", true},
		{"same bits, other family", "a00::", false},
		{"compatible, not mapped", "::10.0.0.1", false},
		{"loopback", "127.0.0.1", false},
		{"unspecified", "0.0.0.0", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := trust.Contains(netip.MustParseAddr(c.addr)); got != c.want {
				t.Errorf("%s is trusted: %v", c.addr, got)
			}
		})
	}

	a := netip.MustParseAddr("10.0.0.1")
	var none *Trust
	if trust.Contains(netip.Addr{}) || none.Contains(a) || new(Trust).Contains(a) || NewTrust(nil).Contains(a) {
		t.Error("nobody is trusted, or trusts")
	}
	if all := NewTrust(prefixes("::/0")); all.Contains(a) || all.Contains(netip.MustParseAddr("::ffff:10.0.0.1")) {
		t.Error("::/0 holds an IPv4 address")
	}
	if all := NewTrust(prefixes("::ffff:0:0/96")); !all.Contains(a) || all.Contains(netip.MustParseAddr("::1")) {
		t.Error("::ffff:0:0/96 is not all of IPv4")
	}
}

func TestTrustKeepsNothing(t *testing.T) {
	list := prefixes("10.0.0.0/8")
	trust := NewTrust(list)
	list[0] = netip.MustParsePrefix("192.0.2.0/24")
	if !trust.Contains(netip.MustParseAddr("10.0.0.1")) || trust.Contains(netip.MustParseAddr("192.0.2.1")) {
		t.Error("the caller's list is kept")
	}
}

func TestLimitKey(t *testing.T) {
	for _, c := range []struct{ name, addr, want string }{
		{"IPv4", "192.0.2.7", "192.0.2.7"},
		{"mapped", "::ffff:192.0.2.7", "192.0.2.7"},
		{"IPv6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"the same /64", "2001:db8:1:2::", "2001:db8:1:2::"},
		{"the next /64", "2001:db8:1:3::", "2001:db8:1:3::"},
		{"with a zone", "fe80::1%eth0", "fe80::"},
		{"loopback", "::1", "::"},
		{"compatible, not mapped", "::192.0.2.7", "::"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := LimitKey(netip.MustParseAddr(c.addr)); got != netip.MustParseAddr(c.want) {
				t.Errorf("key of %s is %s, want %s", c.addr, got, c.want)
			}
		})
	}
	if LimitKey(netip.Addr{}).IsValid() {
		t.Error("the zero Addr got a key of its own")
	}
}

// texts are addresses and what is nearly one. Those that net/netip reads and Parse does not have a zone.
var texts = []string{
	"192.0.2.7", "0.0.0.0", "255.255.255.255", "1.2.3.4.5", "1.2.3", "1.2.3.", ".1.2.3", "1..2.3", "256.1.1.1", "1.1.1.256", "01.2.3.4",
	"1.2.3.00", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "1.2.3.+4", "0x7f.0.0.1", "2130706433", "1.2.3.4294967297", "1.2.3.4:80",
	"::", "::1", "1::", "1::2", "::1.2.3.4", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3::5:6:7:8",
	"1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", ":1:2:3:4:5:6:7",
	"1::2::3", ":::", "::::", "1:::2", ":", ":1", "1:", "::1:", "12345::", "::12345", "00001::", "g::", "::g", "FFFF::AbCd",
	"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:1.2.3.4", "::1.2.3.4:5", "::1.2.3", "::1.2.3.256", "1.2.3.4::", "::ffff:01.2.3.4",
	"1:2:3:4:5::1.2.3.4", "1:2:3:4:5:6::1.2.3.4", "::12345.1.1.1", "::1a.1.1.1", "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
	"fe80::1%eth0", "1.2.3.4%eth0", "::ffff:1.2.3.4%x", "%", "::%", "[::1]", "", " ", "\x00", "::1\x00", "localhost", "١.2.3.4", "unknown", "_hidden",
}

// checkParse compares with net/netip, which is meant to differ in zones only.
func checkParse(t *testing.T, text string) {
	t.Helper()
	want, err := netip.ParseAddr(text)
	got, ok := Parse([]byte(text))
	if wantOK := err == nil && want.Zone() == ""; ok != wantOK || ok && got != want {
		t.Errorf("%q: %v %v, net/netip says %v %v", text, got, ok, want, err)
	}
	if !ok && got.IsValid() {
		t.Errorf("%q: no address, but %v", text, got)
	}
	if ok && len(text) > MaxTextBytes {
		t.Errorf("%q is longer than the longest", text)
	}
}

func TestParse(t *testing.T) {
	for _, text := range texts {
		checkParse(t, text)
	}
}

// FuzzParse holds Parse against net/netip for any text, and for the text of any address.
func FuzzParse(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		checkParse(t, string(text))
		if a, ok := netip.AddrFromSlice(text); ok {
			checkParse(t, a.String())
			checkParse(t, a.StringExpanded())
		}
	})
}

func TestNothingAllocates(t *testing.T) {
	trust := NewTrust(prefixes("10.0.0.0/8", "2001:db8::/32"))
	good, bad := []byte("2001:db8::ffff:192.0.2.7"), []byte("2001:db8::ffff:192.0.2.777")
	var keys []netip.Addr
	if allocs := testing.AllocsPerRun(100, func() {
		a, ok := Parse(good)
		if _, odd := Parse(bad); !ok || odd || !trust.Contains(a) {
			t.Fatal("not read, or not trusted")
		}
		keys = append(keys[:0], LimitKey(a))
	}); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
	if !slices.Equal(keys, []netip.Addr{netip.MustParseAddr("2001:db8::")}) {
		t.Error(keys)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, text := range []string{"192.0.2.7", "2001:db8:85a3::8a2e:370:7334"} {
		b.Run(text, func(b *testing.B) {
			p := []byte(text)
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := Parse(p); !ok {
					b.Fatal("not read")
				}
			}
		})
	}
}

// BenchmarkContains is the worst case, an address of no network, in a list as long as that of a large provider.
func BenchmarkContains(b *testing.B) {
	var list []netip.Prefix
	for i := range 24 {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{100, byte(i), 0, 0}), 16))
	}
	trust, a := NewTrust(list), netip.MustParseAddr("192.0.2.7")
	b.ReportAllocs()
	for b.Loop() {
		if trust.Contains(a) {
			b.Fatal("trusted")
		}
	}
}

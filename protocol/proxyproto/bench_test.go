package proxyproto

import (
	"strings"
	"testing"
)

// benchInputs are what balancers send, and what costs most.
func benchInputs() map[string]string {
	crc := tlv(typeCRC32C, "\x00\x00\x00\x00")
	return map[string]string{
		"v1 TCP4":           "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
		"v1 TCP6":           "PROXY TCP6 2001:db8:85a3::8a2e:370:7334 2001:db8::2 56324 443\r\n",
		"v1 UNKNOWN":        "PROXY UNKNOWN\r\n",
		"v2 INET":           v2(proxied, "\x11", inetBlock),
		"v2 INET6 checksum": summed(v2(proxied, "\x21", inet6Block, tlv(2, "chat.example.com"), crc)),
		"v2 LOCAL":          v2(local, "\x00"),
		"v2 empty fields":   v2(proxied, "\x11", inetBlock, strings.Repeat(tlv(4, ""), 169)),
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	inputs := benchInputs()
	for _, bad := range []string{
		"GET / HTTP/1.1\r\n", "PROXY TCP4 1.2.3.400 ", "PROXY TCP6 ::1%", start2 + "\x31", start2 + proxied + "\x11\xff\xff",
		v2(proxied, "\x11", inetBlock, tlv(typeCRC32C, "abcd")), "PROXY TCP4 192.0.2.1 ", start2,
	} {
		inputs[bad] = bad
	}
	for name, input := range inputs {
		p := []byte(input)
		if allocs := testing.AllocsPerRun(100, func() { Parse(p, &Limits{}) }); allocs != 0 {
			t.Errorf("%q: %v allocations", name, allocs)
		}
	}
}

// The figures are for headers that are in the cache; on a busy loop each comes cold from the socket.

func BenchmarkParse(b *testing.B) {
	for name, input := range benchInputs() {
		b.Run(name, func(b *testing.B) {
			p := []byte(input)
			b.ReportAllocs()
			for b.Loop() {
				if _, n, _ := Parse(p, &Limits{}); n != len(p) {
					b.Fatal("not read")
				}
			}
		})
	}
}

// BenchmarkParseDrop is a whole header byte by byte, the worst that a slow sender can make Parse do.
func BenchmarkParseDrop(b *testing.B) {
	for name, input := range benchInputs() {
		b.Run(name, func(b *testing.B) {
			p := []byte(input)
			for b.Loop() {
				for n := range len(p) + 1 {
					Parse(p[:n], &Limits{})
				}
			}
		})
	}
}

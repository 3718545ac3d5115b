package proxyproto

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// verdict is all that Parse can say. Its zero value is "more bytes are needed".
type verdict struct {
	h   Header
	n   int
	err error
}

func (v verdict) decided() bool { return v.n > 0 || v.err != nil }

// judge parses each beginning of input, as a caller does to which it comes in any pieces. It fails if a verdict is
// taken back, and returns the last one and how many bytes were enough for it.
func judge(t testing.TB, input string, l Limits) (v verdict, at int) {
	t.Helper()
	for n := range len(input) + 1 {
		var now verdict
		p := []byte(input[:n])
		now.h, now.n, now.err = Parse(p, &l)
		if string(p) != input[:n] {
			t.Fatalf("%q was written into", input)
		}
		if v.decided() {
			if now != v {
				t.Fatalf("%q: %+v at byte %d became %+v at byte %d", input, v, at, now, n)
			}
			continue
		}
		if v, at = now, n; v.decided() {
			checkVerdict(t, input[:n], v)
		}
	}
	return v, at
}

// checkVerdict fails on what no verdict may be. A header is complete with its last byte, not before and not later.
func checkVerdict(t testing.TB, input string, v verdict) {
	t.Helper()
	var e Error
	switch {
	case v.err != nil && (!errors.As(v.err, &e) || e == 0 || e >= errorEnd || v.n != 0 || v.h != Header{}):
		t.Fatalf("%q: %+v", input, v)
	case v.err != nil:
		return
	case v.n != len(input) || v.h.Version != 1 && v.h.Version != 2:
		t.Fatalf("%q: %+v", input, v)
	case v.h.Kind == Proxied:
		if !v.h.Source.IsValid() || !v.h.Destination.IsValid() || v.h.Source.Addr().Is4In6() || v.h.Source.Addr().Zone() != "" {
			t.Fatalf("%q: %+v", input, v)
		}
	case v.h.Kind != Local && v.h.Kind != Unknown || v.h.Source.IsValid() || v.h.Destination.IsValid():
		t.Fatalf("%q: %+v", input, v)
	}
}

// Parts of version 2 headers.
const (
	inetBlock  = "\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x34\x01\xbb" // 192.0.2.1:4660 to 198.51.100.2:443
	inet6Block = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x12\x34\x01\xbb"
	mappedBlock = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x02" + "\x12\x34\x01\xbb"

	local, proxied = "\x20", "\x21"
)

// v2 is a header with this command, family and body, and a length that is right.
func v2(command, family string, body ...string) string {
	rest := strings.Join(body, "")
	return start2 + command + family + string(binary.BigEndian.AppendUint16(nil, uint16(len(rest)))) + rest
}

// tlv is a field with a length that is right.
func tlv(kind byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))) + value
}

// summed is a header whose checksum field, which has to be there and zero, is filled in.
func summed(header string) string {
	at := strings.Index(header, tlv(typeCRC32C, "\x00\x00\x00\x00")) + tlvHeader
	p := []byte(header)
	binary.BigEndian.PutUint32(p[at:], checksum(p, at))
	return string(p)
}

func unixBlock(source, destination string) string {
	return source + strings.Repeat("\x00", 108-len(source)) + destination + strings.Repeat("\x00", 108-len(destination))
}

// row is one beginning of a connection and what has to be said of it.
type row struct {
	name, input string
	kind        Kind   // with it the input is a header, with more behind it or not
	source      string // of a Proxied one
	fault       error
	at          int // bytes that are enough for the verdict; 0 for a header is all of it, without what is behind
}

func runRows(t *testing.T, rows []row) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for _, behind := range []string{"", "GET /ws HTTP/1.1\r\n", "PROXY TCP4 ", "\x00", "\r\n"} {
				input := row.input
				if row.kind != 0 {
					input += behind
				}
				v, at := judge(t, input, Limits{})
				if v.err != row.fault || v.h.Kind != row.kind {
					t.Fatalf("%+v, want kind %v, error %v", v, row.kind, row.fault)
				}
				if row.kind != 0 && v.n != len(row.input) {
					t.Fatalf("%d bytes, want %d", v.n, len(row.input))
				}
				if row.kind == Proxied && v.h.Source != netip.MustParseAddrPort(row.source) {
					t.Errorf("source %v, want %v", v.h.Source, row.source)
				}
				if row.at != 0 && at != row.at {
					t.Errorf("known at byte %d, want %d", at, row.at)
				}
			}
		})
	}
}

// TestNoHeader is the part of H3 that neither version can be, and what is not complete.
func TestNoHeader(t *testing.T) {
	runRows(t, []row{
		{name: "nothing"},
		{name: "H3 a request", input: "GET / HTTP/1.1\r\n", fault: ErrNotProxy, at: 1},
		{name: "H3 a request that begins like it", input: "PUT / HTTP/1.1\r\n", fault: ErrNotProxy, at: 2},
		{name: "H3 POST", input: "POST /", fault: ErrNotProxy, at: 2},
		{name: "H3 PROPFIND", input: "PROPFIND /", fault: ErrNotProxy, at: 4},
		{name: "H3 TLS client hello", input: "\x16\x03\x01", fault: ErrNotProxy, at: 1},
		{name: "H3 preface of HTTP/2", input: "PRI * HTTP/2.0", fault: ErrNotProxy, at: 3},
		{name: "H3 lower case", input: "proxy TCP4 ", fault: ErrNotProxy, at: 1},
		{name: "H3 empty line first", input: "\r\nPROXY TCP4 ", fault: ErrNotProxy, at: 3},
		{name: "H3 space first", input: " PROXY TCP4 ", fault: ErrNotProxy, at: 1},
		{name: "H3 NUL", input: "\x00", fault: ErrNotProxy, at: 1},
		{name: "signature broken at its NUL", input: "\r\n\r\n\r\n", fault: ErrNotProxy, at: 5},
		{name: "signature broken at its end", input: "\r\n\r\n\x00\r\nQUIT\r", fault: ErrNotProxy, at: 12},

		{name: "H3 truncated: first byte of 1", input: "P"},
		{name: "H3 truncated: word of 1", input: "PROXY"},
		{name: "H3 truncated: protocol", input: "PROXY TCP"},
		{name: "H3 truncated: UNKNOWN", input: "PROXY UNKNOWN"},
		{name: "H3 truncated: address", input: "PROXY TCP4 192.0.2.1 198.51.100"},
		{name: "H3 truncated: before the LF", input: "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r"},
		{name: "H3 truncated: UNKNOWN before the LF", input: "PROXY UNKNOWN x\r"},
		{name: "H3 truncated: first byte of 2", input: "\r"},
		{name: "H3 truncated: signature", input: start2[:11]},
		{name: "H3 truncated: fixed part", input: v2(proxied, "\x11", inetBlock)[:15]},
		{name: "H3 truncated: addresses", input: v2(proxied, "\x11", inetBlock)[:27]},
		{name: "H3 truncated: LOCAL with a length", input: v2(local, "\x00", "12345")[:20]},
		{name: "H3 truncated: TLV", input: v2(proxied, "\x11", inetBlock, tlv(2, "example.com"))[:40]},
	})
}

func TestVersion1(t *testing.T) {
	at := func(prefix string) int { return len(prefix) }
	runRows(t, []row{
		{name: "TCP4", input: "PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n", kind: Proxied, source: "192.0.2.1:4660"},
		{name: "longest TCP4", input: "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", kind: Proxied, source: "255.255.255.255:65535"},
		{name: "shortest", input: "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", kind: Proxied, source: "0.0.0.0:0"},
		{name: "TCP6", input: "PROXY TCP6 2001:DB8::a ::1 4660 443\r\n", kind: Proxied, source: "[2001:db8::a]:4660"},
		{name: "longest TCP6", input: "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
			kind: Proxied, source: "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
		{name: "mapped", input: "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 4660 443\r\n", kind: Proxied, source: "192.0.2.1:4660"},
		{name: "UNKNOWN", input: "PROXY UNKNOWN\r\n", kind: Unknown},
		{name: "UNKNOWN with addresses", input: "PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n", kind: Unknown},
		{name: "UNKNOWN with anything", input: "PROXY UNKNOWN \x00\xff PROXY  x\r\n", kind: Unknown},
		{name: "UNKNOWN with a space", input: "PROXY UNKNOWN \r\n", kind: Unknown},
		{name: "longest UNKNOWN", input: "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", kind: Unknown},

		{name: "H3 v1 > 107 B", input: "PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n", fault: ErrTooLong, at: 106},
		{name: "H3 v1 of 108 B", input: "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", fault: ErrTooLong, at: 106},
		{name: "H3 v1 endless address", input: "PROXY TCP4 " + strings.Repeat("1", 200), fault: ErrLine, at: at("PROXY TCP4 ") + 40},
		{name: "H3 v1 endless port", input: "PROXY TCP4 1.1.1.1 1.1.1.1 " + strings.Repeat("1", 200), fault: ErrLine, at: at("PROXY TCP4 1.1.1.1 1.1.1.1 ") + 6},

		{name: "no protocol", input: "PROXY \r\n", fault: ErrFamily, at: at("PROXY \r")},
		{name: "no space", input: "PROXY\r\n", fault: ErrNotProxy, at: at("PROXY\r")},
		{name: "tab", input: "PROXY\tTCP4 ", fault: ErrNotProxy, at: at("PROXY\t")},
		{name: "two spaces", input: "PROXY  TCP4 ", fault: ErrFamily, at: at("PROXY  ")},
		{name: "TCP5", input: "PROXY TCP5 ", fault: ErrFamily, at: at("PROXY TCP5")},
		{name: "UDP4", input: "PROXY UDP4 ", fault: ErrFamily, at: at("PROXY UD")},
		{name: "lower-case protocol", input: "PROXY tcp4 ", fault: ErrFamily, at: at("PROXY t")},
		{name: "UNKNOWNX", input: "PROXY UNKNOWNX\r\n", fault: ErrFamily, at: at("PROXY UNKNOWNX")},
		{name: "UNKNOWN and LF", input: "PROXY UNKNOWN\n", fault: ErrFamily, at: at("PROXY UNKNOWN\n")},
		{name: "UNKNOWN and text and LF", input: "PROXY UNKNOWN x\n", fault: ErrLine, at: at("PROXY UNKNOWN x\n")},
		{name: "UNKNOWN and CR alone", input: "PROXY UNKNOWN\rx\r\n", fault: ErrLine, at: at("PROXY UNKNOWN\rx")},
		{name: "TCP4 without fields", input: "PROXY TCP4\r\n", fault: ErrFamily, at: at("PROXY TCP4\r")},
		{name: "three fields", input: "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", fault: ErrLine, at: at("PROXY TCP4 1.1.1.1 2.2.2.2 1\r")},
		{name: "five fields", input: "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", fault: ErrLine, at: at("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 ")},
		{name: "two spaces between", input: "PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n", fault: ErrLine, at: at("PROXY TCP4 1.1.1.1  ")},
		{name: "space at the end", input: "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", fault: ErrLine, at: at("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 ")},
		{name: "LF alone", input: "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", fault: ErrLine, at: at("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n")},
		{name: "CR alone", input: "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rG", fault: ErrLine, at: at("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rG")},
		{name: "leading zero in an address", input: "PROXY TCP4 01.1.1.1 ", fault: ErrLine, at: at("PROXY TCP4 01.1.1.1 ")},
		{name: "octet above 255", input: "PROXY TCP4 1.1.1.256 ", fault: ErrLine, at: at("PROXY TCP4 1.1.1.256 ")},
		{name: "three octets", input: "PROXY TCP4 1.1.1 ", fault: ErrLine},
		{name: "a name", input: "PROXY TCP4 localhost ", fault: ErrLine, at: at("PROXY TCP4 l")},
		{name: "sign in an address", input: "PROXY TCP4 +1.1.1.1 ", fault: ErrLine, at: at("PROXY TCP4 +")},
		{name: "IPv6 as TCP4", input: "PROXY TCP4 ::1 ", fault: ErrLine},
		{name: "IPv4 as TCP6", input: "PROXY TCP6 1.1.1.1 ", fault: ErrLine},
		{name: "families mixed", input: "PROXY TCP6 ::1 1.1.1.1 1 2\r\n", fault: ErrLine},
		{name: "brackets", input: "PROXY TCP6 [::1] ::1 1 2\r\n", fault: ErrLine, at: at("PROXY TCP6 [")},
		{name: "zone", input: "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", fault: ErrLine, at: at("PROXY TCP6 fe80::1%")},
		{name: "nine groups", input: "PROXY TCP6 1:2:3:4:5:6:7:8:9 ", fault: ErrLine},
		{name: "mapped, longer than the specification's longest", input: "PROXY TCP6 0000:0000:0000:0000:0000:ffff:255.255.255.255 ::1 1 2\r\n", fault: ErrLine},
		{name: "port above 65535", input: "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n", fault: ErrLine},
		{name: "leading zero in a port", input: "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", fault: ErrLine},
		{name: "port 00", input: "PROXY TCP4 1.1.1.1 2.2.2.2 1 00\r\n", fault: ErrLine},
		{name: "sign in a port", input: "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", fault: ErrLine},
		{name: "negative port", input: "PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n", fault: ErrLine},
		{name: "empty port", input: "PROXY TCP4 1.1.1.1 2.2.2.2 1 \r\n", fault: ErrLine},
		{name: "hexadecimal port", input: "PROXY TCP4 1.1.1.1 2.2.2.2 1a 2\r\n", fault: ErrLine},
	})
}

func TestVersion2(t *testing.T) {
	runRows(t, []row{
		{name: "TCP over IPv4", input: v2(proxied, "\x11", inetBlock), kind: Proxied, source: "192.0.2.1:4660"},
		{name: "UDP over IPv4", input: v2(proxied, "\x12", inetBlock), kind: Proxied, source: "192.0.2.1:4660"},
		{name: "TCP over IPv6", input: v2(proxied, "\x21", inet6Block), kind: Proxied, source: "[2001:db8::1]:4660"},
		{name: "UDP over IPv6", input: v2(proxied, "\x22", inet6Block), kind: Proxied, source: "[2001:db8::1]:4660"},
		{name: "mapped", input: v2(proxied, "\x21", mappedBlock), kind: Proxied, source: "192.0.2.1:4660"},
		{name: "H3 LOCAL", input: v2(local, "\x00"), kind: Local},
		{name: "H3 LOCAL with addresses", input: v2(local, "\x11", inetBlock), kind: Local},
		{name: "H3 LOCAL with a family that has no room", input: v2(local, "\x21", "x"), kind: Local},
		{name: "H3 LOCAL with a family that does not exist", input: v2(local, "\xff", "x"), kind: Local},
		{name: "H3 LOCAL with what is no TLV", input: v2(local, "\x00", "\x03\xff\xff"), kind: Local},
		{name: "H3 family UNSPEC", input: v2(proxied, "\x00"), kind: Unknown},
		{name: "H3 family UNSPEC with a TLV", input: v2(proxied, "\x00", tlv(2, "example.com")), kind: Unknown},
		{name: "H3 family UNSPEC, stream", input: v2(proxied, "\x01"), kind: Unknown},
		{name: "H3 transport UNSPEC", input: v2(proxied, "\x10", inetBlock), kind: Unknown},
		{name: "H3 AF_UNIX", input: v2(proxied, "\x31", unixBlock("/run/a", "")), kind: Unknown},
		{name: "H3 AF_UNIX, datagrams", input: v2(proxied, "\x32", unixBlock("", "/run/b"), tlv(4, "")), kind: Unknown},

		{name: "H3 v2 length 65535", input: start2 + proxied + "\x11\xff\xff", fault: ErrTooLong, at: 15},
		{name: "H3 v2 length 65535, LOCAL", input: start2 + local + "\x00\xff\xff", fault: ErrTooLong, at: 15},
		{name: "H3 v2 536 bytes", input: v2(proxied, "\x11", inetBlock, tlv(4, strings.Repeat("x", 536-28-3))), kind: Proxied, source: "192.0.2.1:4660"},
		{name: "H3 v2 537 bytes", input: v2(proxied, "\x11", inetBlock, tlv(4, strings.Repeat("x", 537-28-3))), fault: ErrTooLong, at: 16},
		{name: "H3 v2 537 bytes, LOCAL", input: v2(local, "\x00", strings.Repeat("x", 521)), fault: ErrTooLong, at: 16},

		{name: "version 1 with the signature of 2", input: v2("\x11", "\x11", inetBlock), fault: ErrVersion, at: 13},
		{name: "version 3", input: v2("\x31", "\x11", inetBlock), fault: ErrVersion, at: 13},
		{name: "version 0", input: v2("\x01", "\x11", inetBlock), fault: ErrVersion, at: 13},
		{name: "command 2", input: v2("\x22", "\x11", inetBlock), fault: ErrCommand, at: 13},
		{name: "command 15", input: v2("\x2f", "\x11", inetBlock), fault: ErrCommand, at: 13},
		{name: "family 4", input: v2(proxied, "\x41", inetBlock), fault: ErrFamily, at: 14},
		{name: "family 15", input: v2(proxied, "\xf1", inetBlock), fault: ErrFamily, at: 14},
		{name: "transport 3", input: v2(proxied, "\x13", inetBlock), fault: ErrFamily, at: 14},
		{name: "transport 15 without family", input: v2(proxied, "\x0f"), fault: ErrFamily, at: 14},
		{name: "no room for INET", input: v2(proxied, "\x11", inetBlock[:11]), fault: ErrTooShort, at: 16},
		{name: "no room for INET6", input: v2(proxied, "\x21", inet6Block[:35]), fault: ErrTooShort, at: 16},
		{name: "no room for UNIX", input: v2(proxied, "\x31", unixBlock("", "")[:215]), fault: ErrTooShort, at: 16},
		{name: "no addresses", input: v2(proxied, "\x11"), fault: ErrTooShort, at: 16},
		{name: "room of the other family", input: v2(proxied, "\x21", inetBlock), fault: ErrTooShort, at: 16},
	})
}

func TestTLV(t *testing.T) {
	crc := tlv(typeCRC32C, "\x00\x00\x00\x00")
	header := func(fields ...string) string { return v2(proxied, "\x11", append([]string{inetBlock}, fields...)...) }
	good := summed(header(tlv(2, "example.com"), crc, tlv(5, "id")))
	spoilt := func(at int) string { return good[:at] + string([]byte{good[at] ^ 1}) + good[at+1:] }
	proxied := func(name, input string) row {
		return row{name: name, input: input, kind: Proxied, source: "192.0.2.1:4660"}
	}
	runRows(t, []row{
		proxied("authority", header(tlv(2, "example.com"))),
		proxied("several", header(tlv(1, "h2"), tlv(2, "example.com"), tlv(5, "id"), tlv(0x30, "blue"))),
		proxied("unknown type", header(tlv(0xe7, "x"), tlv(0xff, ""))),
		proxied("type 0", header(tlv(0, "x"))),
		proxied("empty fields to the end", header(strings.Repeat(tlv(4, ""), (536-28)/3))),
		proxied("SSL with what is inside not looked at", header(tlv(0x20, "\x01\x00\x00\x00\x00\x21\xff\xff"))),
		proxied("checksum", good),
		proxied("checksum of INET6", summed(v2("\x21", "\x21", mappedBlock, crc))),
		proxied("a checksum's type inside another field", header(tlv(4, tlv(typeCRC32C, "abcd")))),
		{name: "checksum, AF_UNIX", input: summed(v2("\x21", "\x31", unixBlock("a", "b"), crc)), kind: Unknown},
		{name: "checksum, UNSPEC", input: summed(v2("\x21", "\x00", crc)), kind: Unknown},
		{name: "checksum spoilt, LOCAL", input: v2(local, "\x00", crc), kind: Local},

		{name: "checksum zero", input: header(crc), fault: ErrChecksum},
		{name: "checksum spoilt", input: spoilt(len(good) - len(tlv(5, "id")) - 1), fault: ErrChecksum},
		{name: "source spoilt", input: spoilt(fixed2), fault: ErrChecksum},
		{name: "last byte spoilt", input: spoilt(len(good) - 1), fault: ErrChecksum},
		{name: "checksum spoilt, AF_UNIX", input: v2("\x21", "\x31", unixBlock("a", "b"), crc), fault: ErrChecksum},
		{name: "checksum of three bytes", input: header(tlv(typeCRC32C, "abc")), fault: ErrTLV},
		{name: "checksum of five bytes", input: header(tlv(typeCRC32C, "abcde")), fault: ErrTLV},
		{name: "two checksums", input: summed(header(crc, tlv(4, ""), crc)), fault: ErrTLV},
		{name: "one byte over", input: header("\x04"), fault: ErrTLV},
		{name: "two bytes over", input: header("\x04\x00"), fault: ErrTLV},
		{name: "value beyond the header by one", input: header("\x04\x00\x01"), fault: ErrTLV},
		{name: "value far beyond the header", input: header("\x04\xff\xff"), fault: ErrTLV},
		{name: "second value beyond the header", input: header(tlv(2, "a"), "\x05\x00\x04abc"), fault: ErrTLV},
		{name: "UNSPEC with what is no TLV", input: v2("\x21", "\x00", "ab"), fault: ErrTLV},
	})
}

// TestFromHAProxy has what HAProxy 2.6.12 sent for connections over loopback and for health checks.
func TestFromHAProxy(t *testing.T) {
	runRows(t, []row{
		{name: "send-proxy", input: "PROXY TCP6 ::1 ::1 41060 18400\r\n", kind: Proxied, source: "[::1]:41060"},
		{name: "send-proxy, check", input: "PROXY TCP4 127.0.0.1 127.0.0.1 33462 18504\r\n", kind: Proxied, source: "127.0.0.1:33462"},
		{name: "send-proxy-v2", input: "\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x8b@G}",
			kind: Proxied, source: "127.0.0.1:35648"},
		{name: "send-proxy-v2, check", input: "\r\n\r\n\x00\r\nQUIT\n \x00\x00\x00", kind: Local},
		{name: "crc32c and unique-id", input: "\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x1a\x7f\x00\x00\x01\x7f\x00\x00\x01\x83\xc6G~" +
			"\x03\x00\x04\xdb\x9a*\xb3\x05\x00\x04id-4", kind: Proxied, source: "127.0.0.1:33734"},
		{name: "send-proxy-v2-ssl with crc32c", input: "\r\n\r\n\x00\r\nQUIT\n!!\x003" + strings.Repeat("\x00", 15) + "\x01" + strings.Repeat("\x00", 15) +
			"\x01\xd9fG\xe3\x03\x00\x04\xdd}\xf0t \x00\x05\x00\x00\x00\x00\x00", kind: Proxied, source: "[::1]:55654"},
	})
}

func TestLimits(t *testing.T) {
	of := func(size int) string { return v2(proxied, "\x11", inetBlock, strings.Repeat(tlv(4, "x"), (size-28)/4)) }
	for _, c := range []struct {
		name        string
		limit, size int
		fault       error
	}{
		{"zero is the default", 0, DefaultHeaderBytes, nil},
		{"zero is the default, beyond", 0, DefaultHeaderBytes + 4, ErrTooLong},
		{"negative is the default, beyond", -1, DefaultHeaderBytes + 4, ErrTooLong},
		{"largest", MaxHeaderBytes, MaxHeaderBytes, nil},
		{"largest, beyond", MaxHeaderBytes, MaxHeaderBytes + 4, ErrTooLong},
		{"above the largest", 1 << 20, MaxHeaderBytes + 4, ErrTooLong},
		{"between", 600, 600, nil},
		{"between, beyond", 600, 604, ErrTooLong},
		{"small", 28, 28, nil},
		{"too small for any", 1, 28, ErrTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			if v, _ := judge(t, of(c.size), Limits{HeaderBytes: c.limit}); v.err != c.fault || c.fault == nil && v.n != c.size {
				t.Errorf("%+v, want %v", v, c.fault)
			}
		})
	}
	if v, _ := judge(t, "PROXY UNKNOWN 192.0.2.1\r\n", Limits{HeaderBytes: 1}); v.h.Kind != Unknown {
		t.Error("the limit counts for version 1")
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ name, input, destination string }{
		{"v1, TCP4", "PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n", "198.51.100.2:443"},
		{"v1, TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 4660 443\r\n", "[2001:db8::2]:443"},
		{"v1, mapped", "PROXY TCP6 ::ffff:c000:201 ::ffff:198.51.100.2 4660 443\r\n", "198.51.100.2:443"},
		{"v2, INET", v2(proxied, "\x11", inetBlock), "198.51.100.2:443"},
		{"v2, INET6", v2(proxied, "\x21", inet6Block), "[2001:db8::2]:443"},
		{"v2, mapped", v2(proxied, "\x21", mappedBlock), "198.51.100.2:443"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, _ := judge(t, c.input, Limits{})
			if v.h.Destination.String() != c.destination || v.h.Source.Port() != 4660 {
				t.Errorf("%+v, want %s", v, c.destination)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	var seen []string
	for _, e := range Errors() {
		if e.Reason() == "" || strings.Trim(e.Reason(), "abcdefghijklmnopqrstuvwxyz_") != "" || slices.Contains(seen, e.Reason()) {
			t.Errorf("%d has the word %q", e, e.Reason())
		}
		if !strings.HasPrefix(e.Error(), "proxyproto: ") || len(e.Error()) < len("proxyproto: unknown") {
			t.Errorf("%d says %q", e, e)
		}
		seen = append(seen, e.Reason())
	}
	for _, e := range []Error{0, errorEnd} {
		if e.Reason() != "unknown" || e.Error() != "proxyproto: unknown error" {
			t.Errorf("%d is known", e)
		}
	}
}

package proxyproto

// Parse against go-proxyproto, which many servers use, and which means to be more lenient than a server should.

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	oracle "github.com/pires/go-proxyproto"
)

// byOracle is the header as the oracle sees it and how many bytes it has.
func byOracle(input []byte) (h *oracle.Header, n int, err error) {
	from := bytes.NewReader(input)
	r := bufio.NewReaderSize(from, len(input)+1) // it waits for no more bytes than fit in here
	if h, err = oracle.Read(r); err != nil {
		return nil, 0, err
	}
	return h, len(input) - from.Len() - r.Buffered(), nil
}

// difference is one way in which the oracle and Parse are meant to differ.
type difference struct {
	name  string
	fault error // of Parse, where the oracle accepts; nil where it refuses
	// is says whether a header is of this kind. What is the header is said by the one of the two that accepts it.
	is      func(header string) bool
	example string
}

func isVersion2(header string) bool { return strings.HasPrefix(header, start2) }

// fieldsOf are the fields behind the addresses, as the oracle cuts them.
func fieldsOf(header string) ([]oracle.TLV, error) {
	if !isVersion2(header) || header[commandAt] != proxied[0] {
		return nil, nil // LOCAL may have anything there
	}
	return oracle.SplitTLVs([]byte(header)[fixed2+addressBytes[header[familyAt]>>4]:])
}

func checksumsOf(header string) (all [][]byte) {
	fields, _ := fieldsOf(header)
	for _, f := range fields {
		if f.Type == oracle.PP2_TYPE_CRC32C {
			all = append(all, f.Value)
		}
	}
	return all
}

// slowChecksum blanks the field that holds sum, which is the only one that may.
func slowChecksum(header string, sum []byte) uint32 {
	field, blank := tlv(typeCRC32C, string(sum)), tlv(typeCRC32C, "\x00\x00\x00\x00")
	at := fixed2 + addressBytes[header[familyAt]>>4]
	return crc32.Checksum([]byte(header[:at]+strings.Replace(header[at:], field, blank, 1)), crc32.MakeTable(crc32.Castagnoli))
}

func isLine(header string) bool { return !isVersion2(header) }

// differences is the whole list.
var differences = []difference{
	{
		name: "the word has to end behind PROXY", fault: ErrNotProxy,
		is: isLine, example: "PROXYING TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
	},
	{
		name: "an UNKNOWN line has no CR in it", fault: ErrLine,
		is:      func(h string) bool { return strings.HasPrefix(h, start1+unknown) && strings.Count(h, "\r") > 1 },
		example: "PROXY UNKNOWN \rx\r\n",
	},
	{
		name: "six fields are not more", fault: ErrLine,
		is:      func(h string) bool { return isLine(h) && strings.Count(h, " ") > 5 },
		example: "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
	},
	{
		name: "a port has no sign and no leading zero", fault: ErrLine,
		is: func(h string) bool {
			fields := strings.Split(strings.TrimSuffix(h, "\r\n"), " ")
			return isLine(h) && len(fields) == 6 && slices.ContainsFunc(fields[4:], func(port string) bool {
				return strings.ContainsAny(port[:1], "+-0") && port != "0"
			})
		},
		example: "PROXY TCP4 192.0.2.1 192.0.2.2 +1 02\r\n",
	},
	{
		name: "an address has no zone", fault: ErrLine,
		is:      func(h string) bool { return strings.HasPrefix(h, start1+tcp6) && strings.Contains(h, "%") },
		example: "PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n",
	},
	{
		name: "an address has at most 39 characters", fault: ErrLine,
		is: func(h string) bool {
			fields := strings.Split(h, " ")
			return strings.HasPrefix(h, start1+tcp6) && len(fields) == 6 && max(len(fields[2]), len(fields[3])) > maxAddressText
		},
		example: "PROXY TCP6 0000:0000:0000:0000:0000:ffff:192.168.100.200 ::1 1 2\r\n",
	},
	{
		name: "a header is bounded", fault: ErrTooLong,
		is:      func(h string) bool { return isVersion2(h) && len(h) > DefaultHeaderBytes },
		example: v2(proxied, "\x11", inetBlock, tlv(4, strings.Repeat("x", 600))),
	},
	{
		name: "families and transports are those of the specification", fault: ErrFamily,
		is: func(h string) bool {
			return isVersion2(h) && (h[familyAt]>>4 > familyUnix || h[familyAt]&0xf > maxTransport)
		},
		example: v2(proxied, "\x13", inetBlock),
	},
	{
		name: "fields end with the header", fault: ErrTLV,
		is: func(h string) bool {
			_, err := fieldsOf(h)
			return err != nil
		},
		example: v2(proxied, "\x11", inetBlock, "\x04\xff\xff"),
	},
	{
		name: "there is one checksum of four bytes", fault: ErrTLV,
		is: func(h string) bool {
			sums := checksumsOf(h)
			return len(sums) > 1 || len(sums) == 1 && len(sums[0]) != checksumBytes
		},
		example: v2(proxied, "\x11", inetBlock, tlv(typeCRC32C, "abc")),
	},
	{
		name: "a checksum is checked", fault: ErrChecksum,
		is: func(h string) bool {
			sums := checksumsOf(h)
			return len(sums) == 1 && len(sums[0]) == checksumBytes && binary.BigEndian.Uint32(sums[0]) != slowChecksum(h, sums[0])
		},
		example: v2(proxied, "\x11", inetBlock, tlv(typeCRC32C, "\x00\x00\x00\x00")),
	},
	{
		name:    "PROXY without a family is a header",
		is:      func(h string) bool { return isVersion2(h) && h[commandAt] == proxied[0] && h[familyAt] == 0 },
		example: v2(proxied, "\x00"),
	},
	{
		name:    "the family of LOCAL does not count",
		is:      func(h string) bool { return isVersion2(h) && h[commandAt] == local[0] && h[familyAt] != 0 },
		example: v2(local, "\x21", "x"),
	},
}

// meant reports whether the difference is on the list. header is what the one that accepts takes for it.
func meant(header string, fault error) bool {
	for _, d := range differences {
		if d.fault == fault && d.is(header) {
			return true
		}
	}
	return false
}

// checkAgainstOracle fails on a difference that is not on the list.
func checkAgainstOracle(t *testing.T, input string, v verdict) {
	t.Helper()
	theirs, n, err := byOracle([]byte(input))
	switch {
	case v.n > 0 && err != nil:
		if !meant(input[:v.n], nil) {
			t.Fatalf("%q: %+v, oracle: %v", input, v, err)
		}
	case v.n == 0 && err == nil:
		if !meant(input[:n], v.err) {
			t.Fatalf("%q: %v, oracle: %+v", input, v.err, theirs)
		}
	case v.n > 0:
		if n != v.n || theirs.Version != v.h.Version {
			t.Fatalf("%q: %+v, oracle: %d bytes of %+v", input, v, n, theirs)
		}
		checkAddresses(t, input, v.h, theirs)
		if sums := checksumsOf(input[:n]); len(sums) > 0 && binary.BigEndian.Uint32(sums[0]) != slowChecksum(input[:n], sums[0]) {
			t.Fatalf("%q: accepted with a wrong checksum", input)
		}
	}
}

// checkAddresses compares what both accepted.
func checkAddresses(t *testing.T, input string, h Header, theirs *oracle.Header) {
	t.Helper()
	if local := theirs.Version == 2 && theirs.Command.IsLocal(); local != (h.Kind == Local) {
		t.Fatalf("%q: %+v, oracle: %+v", input, h, theirs)
	}
	from, ok := netAddrPort(theirs.SourceAddr)
	if proxied := ok && theirs.Command.IsProxy(); proxied != (h.Kind == Proxied) {
		t.Fatalf("%q: %+v, oracle: %+v", input, h, theirs)
	}
	to, _ := netAddrPort(theirs.DestinationAddr)
	if h.Kind == Proxied && (h.Source != from || h.Destination != to) {
		t.Fatalf("%q: %+v, oracle: %v, %v", input, h, from, to)
	}
}

func netAddrPort(a net.Addr) (netip.AddrPort, bool) {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	default:
		return ap, false
	}
	return addrPort(ap.Addr(), ap.Port()), true
}

// TestDifferences has an example of each. Should the oracle change its mind, its row is there to notice.
func TestDifferences(t *testing.T) {
	for _, d := range differences {
		t.Run(d.name, func(t *testing.T) {
			v, _ := judge(t, d.example, Limits{})
			if _, n, err := byOracle([]byte(d.example)); v.err != d.fault || (err == nil) != (d.fault != nil) {
				t.Fatalf("%+v, oracle: %d, %v", v, n, err)
			}
			checkAgainstOracle(t, d.example, v)
		})
	}
}

// seeds are headers of all sorts, for the fuzzer to change.
func seeds() (all []string) {
	for _, d := range differences {
		all = append(all, d.example)
	}
	crc := tlv(typeCRC32C, "\x00\x00\x00\x00")
	return append(all,
		"PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\nGET / HTTP/1.1\r\n", "PROXY TCP6 2001:db8::a ::ffff:192.0.2.1 0 65535\r\n",
		"PROXY UNKNOWN\r\n", "PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n", "GET / HTTP/1.1\r\n", "PROXY TCP4 1.2.3.4",
		v2(proxied, "\x11", inetBlock)+"GET /", v2(proxied, "\x22", inet6Block), v2(proxied, "\x21", mappedBlock), v2(local, "\x00"),
		v2(local, "\x11", inetBlock), v2(proxied, "\x31", unixBlock("/run/a", "/run/b")), summed(v2(proxied, "\x11", inetBlock, crc, tlv(2, "example.com"))),
		summed(v2(proxied, "\x00", crc)), v2(proxied, "\x11", inetBlock, tlv(0x20, "\x01\x00\x00\x00\x00")), v2(proxied, "\x02", tlv(4, "")))
}

func TestAgainstOracle(t *testing.T) {
	for _, input := range seeds() {
		v, _ := judge(t, input, Limits{})
		checkAgainstOracle(t, input, v)
	}
}

// FuzzParse: no input panics or is written into, no verdict is taken back when more bytes come, none takes more bytes
// than the limit, and the oracle agrees.
func FuzzParse(f *testing.F) {
	for _, input := range seeds() {
		f.Add([]byte(input), uint16(0))
	}
	f.Add([]byte(v2(proxied, "\x11", inetBlock, tlv(4, strings.Repeat("x", 30)))), uint16(60))
	f.Fuzz(func(t *testing.T, input []byte, limit uint16) {
		if len(input) > 2*DefaultHeaderBytes {
			return // each beginning of it is parsed
		}
		v, at := judge(t, string(input), Limits{})
		checkAgainstOracle(t, string(input), v)
		if most := DefaultHeaderBytes; at > most || !v.decided() && len(input) >= most {
			t.Fatalf("no verdict by %d bytes", most)
		}

		l := Limits{HeaderBytes: int(limit)}
		bounded, _ := judge(t, string(input), l)
		if bounded != v && bounded.err != ErrTooLong && v.err != ErrTooLong {
			t.Fatalf("%+v with a limit of %d bytes, %+v without", bounded, limit, v)
		}
		if bounded.n > max(l.headerBytes(), maxLine1) {
			t.Fatalf("%d bytes with a limit of %d", bounded.n, limit)
		}
	})
}

// FuzzRewritten has the oracle write a header, so that all the ways to be right are reached at once.
func FuzzRewritten(f *testing.F) {
	f.Add([]byte{192, 0, 2, 1}, []byte{198, 51, 100, 2}, uint16(1), uint16(2), true, "example.com")
	f.Add(bytes.Repeat([]byte{0, 1}, 8), make([]byte, 16), uint16(0), uint16(65535), false, "")
	f.Fuzz(func(t *testing.T, from, to []byte, fromPort, toPort uint16, version2 bool, authority string) {
		source, ok := netip.AddrFromSlice(from)
		destination, ok2 := netip.AddrFromSlice(to)
		if !ok || !ok2 || source.Unmap().Is4() != destination.Unmap().Is4() || len(authority) > 400 {
			return
		}
		h := oracle.HeaderProxyFromAddrs(1, net.TCPAddrFromAddrPort(addrPort(source, fromPort)), net.TCPAddrFromAddrPort(addrPort(destination, toPort)))
		if version2 {
			h.Version = 2
			if err := h.SetTLVs([]oracle.TLV{{Type: oracle.PP2_TYPE_AUTHORITY, Value: []byte(authority)}}); err != nil {
				t.Fatal(err)
			}
		}
		header, err := h.Format()
		if err != nil {
			t.Fatal(err)
		}
		v, _ := judge(t, string(header), Limits{})
		want := Header{h.Version, Proxied, addrPort(source, fromPort), addrPort(destination, toPort)}
		if v.n != len(header) || v.h != want {
			t.Fatalf("%q: %+v, want %+v", header, v, want)
		}
	})
}

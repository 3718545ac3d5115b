package proxyproto

// Version 2: a signature, four fixed bytes, addresses, and fields of type, length and value (section 2.2).

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

const (
	start2 = "\r\n\r\n\x00\r\nQUIT\n"

	// Where the fixed bytes behind the signature are.
	commandAt = len(start2)
	familyAt  = commandAt + 1
	lengthAt  = familyAt + 1
	fixed2    = lengthAt + 2

	version2     = 2
	commandLocal = 0
	commandProxy = 1

	unspecified  = 0 // as a family and as a transport
	familyINET   = 1
	familyINET6  = 2
	familyUnix   = 3
	maxTransport = 2 // 1 is a stream, 2 are datagrams
)

// addressBytes is the room for both addresses and ports, by family.
var addressBytes = [...]int{unspecified: 0, familyINET: 2 * (4 + 2), familyINET6: 2 * (16 + 2), familyUnix: 2 * 108}

func parse2(p []byte, most int) (h Header, n int, e Error) {
	if whole, possible := startsWith(p, start2); !possible {
		return h, 0, ErrNotProxy
	} else if !whole {
		return h, 0, 0
	}
	size, e := fixedPart(p, most)
	if e != 0 || size == 0 || len(p) < size {
		return h, 0, e
	}
	if p[commandAt]&0xf == commandLocal {
		return Header{Version: 2, Kind: Local}, size, 0
	}
	family, transport := p[familyAt]>>4, p[familyAt]&0xf
	room := addressBytes[family]
	if e = checkTLVs(p[:size], fixed2+room); e != 0 {
		return h, 0, e
	}
	h = Header{Version: 2, Kind: Unknown}
	if (family == familyINET || family == familyINET6) && transport != unspecified {
		h.Kind = Proxied
		h.Source, h.Destination = addresses(p[fixed2 : fixed2+room])
	}
	return h, size, 0
}

// fixedPart judges the bytes behind the signature, as far as they are there. The size of the whole header is 0 until
// they all are. With LOCAL the family, and whatever follows, is to be ignored.
func fixedPart(p []byte, most int) (size int, e Error) {
	if len(p) <= commandAt {
		return 0, 0
	}
	command := p[commandAt] & 0xf
	switch {
	case p[commandAt]>>4 != version2:
		return 0, ErrVersion
	case command != commandLocal && command != commandProxy:
		return 0, ErrCommand
	case len(p) <= familyAt:
		return 0, 0
	}
	family, transport := int(p[familyAt]>>4), p[familyAt]&0xf
	if command == commandProxy && (family >= len(addressBytes) || transport > maxTransport) {
		return 0, ErrFamily
	}
	if len(p) == lengthAt+1 && fixed2+int(p[lengthAt])<<8 > most {
		return 0, ErrTooLong // whatever the other half of the length will be
	}
	if len(p) < fixed2 {
		return 0, 0
	}
	length := int(binary.BigEndian.Uint16(p[lengthAt:]))
	switch {
	case fixed2+length > most:
		return 0, ErrTooLong
	case command == commandProxy && length < addressBytes[family]:
		return 0, ErrTooShort
	}
	return fixed2 + length, 0
}

// addresses reads the address block of INET or INET6: both addresses, then both ports.
func addresses(block []byte) (source, destination netip.AddrPort) {
	width := len(block)/2 - 2
	from, _ := netip.AddrFromSlice(block[:width])
	to, _ := netip.AddrFromSlice(block[width : 2*width])
	ports := block[2*width:]
	return addrPort(from, binary.BigEndian.Uint16(ports)), addrPort(to, binary.BigEndian.Uint16(ports[2:]))
}

const (
	tlvHeader     = 3 // type and length
	typeCRC32C    = 3
	checksumBytes = 4
)

var (
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
	zeroChecksum [checksumBytes]byte
)

// checkTLVs walks the fields of a whole header from at to its end. All are passed over but the checksum, which has
// to be right if it is there (section 2.2.3).
func checkTLVs(header []byte, at int) Error {
	checksumAt := 0
	for at < len(header) {
		if len(header)-at < tlvHeader {
			return ErrTLV
		}
		value := at + tlvHeader
		length := int(binary.BigEndian.Uint16(header[at+1:]))
		if length > len(header)-value {
			return ErrTLV
		}
		if header[at] == typeCRC32C {
			if length != checksumBytes || checksumAt != 0 {
				return ErrTLV
			}
			checksumAt = value
		}
		at = value + length
	}
	if checksumAt != 0 && checksum(header, checksumAt) != binary.BigEndian.Uint32(header[checksumAt:]) {
		return ErrChecksum
	}
	return 0
}

// checksum is the CRC32C of the header with zeros in place of the checksum at this index.
func checksum(header []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, zeroChecksum[:])
	return crc32.Update(sum, castagnoli, header[at+checksumBytes:])
}

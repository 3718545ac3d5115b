package clientaddr

// Addresses in text. net/netip reads the same text, but from a string that its errors keep, which costs each
// address read from a socket's bytes an allocation; the tests hold this reader against it.

import (
	"bytes"
	"net/netip"
)

// MaxTextBytes is the longest text of an address: eight groups of IPv6, the last two as an IPv4 address.
const MaxTextBytes = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// Parse reads an address, which has to be all of b: dotted decimal IPv4 without leading zeros, or IPv6 as in RFC
// 4291 section 2.2 without brackets and without a zone, which means nothing on another machine. An IPv4-mapped
// address is returned as the IPv6 address that it is written as; [netip.Addr.Unmap] makes it the other.
func Parse(b []byte) (a netip.Addr, ok bool) {
	if bytes.IndexByte(b, ':') >= 0 {
		ip, ok := parse6(b)
		if !ok {
			return netip.Addr{}, false
		}
		return netip.AddrFrom16(ip), true
	}
	ip, ok := parse4(b)
	if !ok {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4(ip), true
}

func parse4(b []byte) (ip [4]byte, ok bool) {
	for i := range ip {
		if i > 0 {
			if len(b) == 0 || b[0] != '.' {
				return ip, false
			}
			b = b[1:]
		}
		value, digits := 0, 0
		for digits < len(b) && '0' <= b[digits] && b[digits] <= '9' {
			if digits > 0 && value == 0 {
				return ip, false // a leading zero, which some read as octal
			}
			if value = value*10 + int(b[digits]-'0'); value > 255 {
				return ip, false
			}
			digits++
		}
		if digits == 0 {
			return ip, false
		}
		ip[i], b = byte(value), b[digits:]
	}
	return ip, len(b) == 0
}

func parse6(b []byte) (ip [16]byte, ok bool) {
	gap := -1 // where in ip the "::" is, if there is one
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, b = 0, b[2:]
	}
	at := 0
	for at < len(ip) && len(b) > 0 {
		value, digits := group(b)
		if digits == 0 {
			return ip, false
		}
		if digits < len(b) && b[digits] == '.' {
			tail, ok := parse4(b)
			if !ok || at > len(ip)-len(tail) || gap < 0 && at != len(ip)-len(tail) {
				return ip, false
			}
			at, b = at+copy(ip[at:], tail[:]), nil
			break
		}
		ip[at], ip[at+1] = byte(value>>8), byte(value)
		at, b = at+2, b[digits:]
		if len(b) == 0 {
			break
		}
		if len(b) == 1 || b[0] != ':' {
			return ip, false // what follows is no colon, or a colon that nothing follows
		}
		if b = b[1:]; b[0] == ':' {
			if gap >= 0 {
				return ip, false
			}
			gap, b = at, b[1:]
		}
	}
	// The gap stands for one group at least.
	if len(b) > 0 || (at == len(ip)) == (gap >= 0) {
		return ip, false
	}
	if gap >= 0 {
		behind := at - gap
		copy(ip[len(ip)-behind:], ip[gap:at])
		clear(ip[gap : len(ip)-behind])
	}
	return ip, true
}

// group reads up to four hexadecimal digits; digits is 0 if there are none or more.
func group(b []byte) (value, digits int) {
	for digits < len(b) {
		d := hex(b[digits])
		if d < 0 {
			break
		}
		if digits == 4 {
			return 0, 0
		}
		value, digits = value<<4|d, digits+1
	}
	return value, digits
}

func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

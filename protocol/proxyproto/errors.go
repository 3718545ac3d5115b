package proxyproto

// The closed list of faults a header can have, with the word that is logged and counted.

// Error is a fault in a header, or that there is none. The values are comparable; [Parse] returns no other errors.
// The zero Error is none.
type Error uint8

const (
	// ErrNotProxy is a connection that begins with something else, and so with no header.
	ErrNotProxy Error = iota + 1
	// ErrVersion is the signature of version 2 with another version behind it.
	ErrVersion
	// ErrCommand is a command other than LOCAL and PROXY.
	ErrCommand
	// ErrFamily is an address family or a transport that the specification does not know.
	ErrFamily
	// ErrLine is an address, a port, a space or a line end of version 1 that is none, or not of the family.
	ErrLine
	// ErrTooLong is a header above [Limits.HeaderBytes], or a line above 107 bytes.
	ErrTooLong
	// ErrTooShort is a length of version 2 that has no room for the addresses it announces.
	ErrTooShort
	// ErrTLV is a field behind the addresses that goes beyond the header, or a checksum given twice or not of four bytes.
	ErrTLV
	// ErrChecksum is a checksum that is not the header's.
	ErrChecksum

	errorEnd
)

var faults = [errorEnd]struct{ reason, text string }{
	ErrNotProxy: {"not_proxy", "connection does not begin with a header"},
	ErrVersion:  {"version", "unknown version"},
	ErrCommand:  {"command", "unknown command"},
	ErrFamily:   {"family", "unknown address family or transport"},
	ErrLine:     {"line", "malformed line"},
	ErrTooLong:  {"too_long", "header too long"},
	ErrTooShort: {"too_short", "length without room for the addresses"},
	ErrTLV:      {"tlv", "malformed field behind the addresses"},
	ErrChecksum: {"checksum", "wrong checksum"},
}

// Error is a sentence for logs; it holds nothing of the input.
func (e Error) Error() string {
	if e == 0 || e >= errorEnd {
		return "proxyproto: unknown error"
	}
	return "proxyproto: " + faults[e].text
}

// Reason is one word of a closed list, fit to be a metric label.
func (e Error) Reason() string {
	if e == 0 || e >= errorEnd {
		return "unknown"
	}
	return faults[e].reason
}

// Errors lists every Error there is, for metrics that have to know their labels beforehand.
func Errors() []Error {
	all := make([]Error, 0, errorEnd-1)
	for e := Error(1); e < errorEnd; e++ {
		all = append(all, e)
	}
	return all
}

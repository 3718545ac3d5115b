// The request line: METHOD SP target SP HTTP/1.1, the target in origin-form (RFC 9112 section 3).

package handshake

import "bytes"

const versionForm = "HTTP/1.1"

// requestLine judges the first line. Shape comes before the target, the target before the version and the version
// before the method: what cannot be read cannot be unsupported, and only a version that is spoken has methods.
// So the preface of HTTP/2, whose target is '*', is malformed and not a version.
func (g *progress) requestLine(line []byte, lim *Limits) Refusal {
	versionAt := len(line) - len(versionForm)
	methodEnd := bytes.IndexByte(line, ' ')
	// The two spaces have to be two: "GET HTTP/1.1" has one.
	if methodEnd <= 0 || versionAt-1 <= methodEnd || line[versionAt-1] != ' ' {
		return Malformed
	}
	method, target, version := line[:methodEnd], line[methodEnd+1:versionAt-1], line[versionAt:]
	if !allOf(method, isToken) || !isVersion(version) {
		return Malformed
	}
	if refusal := g.judgeTarget(target, methodEnd+1, lim); refusal != Accepted {
		return refusal
	}
	if string(version) != versionForm {
		return HTTPVersion
	}
	if string(method) != "GET" {
		return Method
	}
	return Accepted
}

// isVersion reports whether v is HTTP-version: "HTTP/" DIGIT "." DIGIT, in upper case.
func isVersion(v []byte) bool {
	isDigit := func(c byte) bool { return '0' <= c && c <= '9' }
	return string(v[:5]) == "HTTP/" && isDigit(v[5]) && v[6] == '.' && isDigit(v[7])
}

// judgeTarget judges a target that begins at the offset at, and notes its parts.
func (g *progress) judgeTarget(target []byte, at int, lim *Limits) Refusal {
	if len(target) == 0 || target[0] != '/' {
		return Malformed // absolute-form, authority-form and '*' are for proxies and for OPTIONS
	}
	g.target = span{uint32(at), uint32(at + len(target))}
	path := target
	if q := bytes.IndexByte(target, '?'); q >= 0 {
		path = target[:q]
		g.query = uint32(at + q)
		query := target[q+1:]
		if len(query) > lim.QueryBytes {
			return URITooLong
		}
		if !isEscaped(query, isQuery) || !uniqueParams(query) {
			return Malformed
		}
	}
	if !isEscaped(path, isPath) || hasDotSegment(path) {
		return Malformed
	}
	return Accepted
}

// isEscaped reports whether b has only bytes of the class and '%' followed by two hexadecimal digits, other than
// %00: no name here may hold a NUL, and much software that may read the same line ends a string there.
func isEscaped(b []byte, class uint8) bool {
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '%':
			if len(b)-i < 3 || unhex(b[i+1]) < 0 || unhex(b[i+2]) < 0 || b[i+1] == '0' && b[i+2] == '0' {
				return false
			}
			i += 2
		case charset[c]&class == 0:
			return false
		}
	}
	return true
}

// hasDotSegment reports whether a segment of path is "." or "..", its dots written plainly or as %2e. roost never
// resolves a path, but a balancer in front may have, or not, and the two must not disagree.
func hasDotSegment(path []byte) bool {
	dots, others := 0, 0
	for i := 1; i < len(path); i++ {
		switch c := path[i]; {
		case c == '/':
			if others == 0 && (dots == 1 || dots == 2) {
				return true
			}
			dots, others = 0, 0
		case c == '.':
			dots++
		case c == '%' && path[i+1] == '2' && lower(path[i+2]) == 'e':
			dots++
			i += 2
		default:
			others++
		}
	}
	return others == 0 && (dots == 1 || dots == 2)
}

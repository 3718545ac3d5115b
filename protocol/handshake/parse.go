// The line machine: cuts a request head into lines as they arrive and has each one judged once.

package handshake

import "bytes"

// Parse looks for a whole request head at the begin of p. It answers in one of three ways:
//
//   - n > 0: the head is p[:n] and r is filled. What follows in p belongs to the frame parser (RFC 6455 lets a
//     client send only after the 101, but a segment may well hold both).
//   - why is not [Accepted]: the request is to be answered with it and the connection closed. n is 0.
//   - neither: more bytes are needed. Call again with the same bytes and those that came since; they may have
//     moved in memory. What was judged is not looked at again, so a slow sender costs no more than a fast one.
//
// The verdict is the one of the first line that earns one, in the order of the bytes: a line that passes a bound
// is refused at the byte where that is certain, any other when its LF is there, and a missing Host at the empty
// line. It is therefore the same for every way of cutting the bytes into segments. After a verdict Parse repeats it.
//
// Parse does not allocate, block or keep p while it is incomplete. lim has to be the same in all calls for a head.
func (r *Request) Parse(p []byte, lim *Limits) (n int, why Refusal) {
	g := &r.progress
	if g.size > 0 || g.refusal != Accepted {
		return int(g.size), g.refusal
	}
	if len(p) == 0 {
		return 0, Accepted
	}
	if g.line == 0 && charset[p[0]]&isToken == 0 {
		// No request begins like this, but a TLS client hello does, and it may never send an LF. An empty
		// line before the request (RFC 9112 section 2.2) is only known after a POST, so it is refused too.
		return r.refuse(Malformed)
	}
	for {
		lf, refusal := g.nextLine(p, lim)
		if refusal != Accepted {
			return r.refuse(refusal)
		}
		if lf < 0 {
			return 0, Accepted
		}
		start := int(g.line)
		if lf == start || p[lf-1] != '\r' {
			return r.refuse(Malformed)
		}
		line := p[start : lf-1]
		switch {
		case start == 0:
			refusal = g.requestLine(line, lim)
		case len(line) > 0:
			refusal = g.header(line, lim)
		case !g.single[fieldHost].present():
			refusal = Malformed
		default:
			r.finish(p[:lf+1])
			return lf + 1, Accepted
		}
		if refusal != Accepted {
			return r.refuse(refusal)
		}
		g.line, g.searched = uint32(lf+1), uint32(lf+1)
	}
}

// progress is how far a head was read and where in it the things are that count. It has offsets and no pointers,
// since the bytes may move until the head is complete.
type progress struct {
	line     uint32 // where the line begins that is not yet judged
	searched uint32 // up to where that line was searched for its LF
	size     uint32 // of the whole head, once it is complete
	refusal  Refusal
	// headers counts header lines; lengths counts those that were Content-Length.
	headers, lengths uint32

	target span
	query  uint32 // where the '?' is; 0 if there is none
	single [numSingle]span

	repeat      [maxRepeated]repeatedLine
	repeatCount int
}

// span is a part of the head. Nothing that is kept begins at 0, so the zero span is an absent part.
type span struct{ from, to uint32 }

func (s span) present() bool { return s.from != 0 }

// in returns the bytes of s, nil if it is absent. The capacity ends where the bytes do: an append must not write
// into the rest of the head.
func (s span) in(head []byte) []byte {
	if !s.present() {
		return nil
	}
	return head[s.from:s.to:s.to]
}

type repeatedLine struct {
	field field
	value span
}

// nextLine returns the index of the LF that ends the current line, or -1 if it is not in p. A line that cannot end
// within its bounds any more is refused.
func (g *progress) nextLine(p []byte, lim *Limits) (lf int, refusal Refusal) {
	bound := min(int(g.line)+lim.LineBytes+len("\r\n"), lim.HeadBytes)
	end := min(len(p), bound)
	if from := int(g.searched); from < end {
		if i := bytes.IndexByte(p[from:end], '\n'); i >= 0 {
			return from + i, Accepted
		}
		g.searched = uint32(end)
	}
	switch {
	case len(p) < bound:
		return -1, Accepted
	case g.line == 0:
		return -1, URITooLong
	default:
		return -1, HeadersTooLarge
	}
}

func (r *Request) refuse(refusal Refusal) (int, Refusal) {
	r.progress.refusal = refusal
	return 0, refusal
}

// finish turns offsets into slices of the complete head.
func (r *Request) finish(head []byte) {
	g := &r.progress
	g.size = uint32(len(head))
	r.head = head
	r.Target = g.target.in(head)
	r.Path = r.Target
	if g.query != 0 {
		r.Path = head[g.target.from:g.query:g.query]
		r.RawQuery = head[g.query+1 : g.target.to : g.target.to]
	}
	r.Host = g.single[fieldHost].in(head)
	r.Origin = g.single[fieldOrigin].in(head)
	r.Authorization = g.single[fieldAuthorization].in(head)
	r.Key = g.single[fieldKey].in(head)
	r.UserAgent = g.single[fieldUserAgent].in(head)
}

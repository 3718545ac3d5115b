package frame

// UTF-8 in pieces, for text that is not all there yet.

import "unicode/utf8"

// textPrefix reports whether p can be the beginning of UTF-8 text, and how many bytes at its end belong to a
// code point that is not complete yet. Those have to stand in front of what is checked next; at the end of a
// text there may be none.
func textPrefix(p []byte) (tail int, ok bool) {
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		last := p[len(p)-i:]
		if !utf8.RuneStart(last[0]) {
			continue
		}
		// FullRune takes a sequence that nothing can complete for a full one, so Valid below gets to see it.
		if !utf8.FullRune(last) {
			tail = i
		}
		break
	}
	return tail, utf8.Valid(p[:len(p)-tail])
}

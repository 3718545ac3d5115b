// Texts from outside, made harmless for Markdown, for terminals and for the eye.

package report

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable replaces what is not a letter to be seen, line breaks and what turns the direction of writing included,
// by spaces.
func printable(text string) string { return strings.Map(shown, text) }

// shown is r, or a space in its place.
func shown(r rune) rune {
	if r == utf8.RuneError || !unicode.IsGraphic(r) {
		return ' '
	}
	return r
}

// plain writes text so that Markdown shows it as it is, in a table too.
func plain(text string) string {
	text = printable(text)
	var out strings.Builder
	for i, r := range text {
		switch r {
		case '&':
			out.WriteString("&amp;")
			continue
		case '<':
			out.WriteString("&lt;")
			continue
		case '_':
			if !inside(text, i) { // between letters it means nothing, and kernel settings are full of it
				out.WriteByte('\\')
			}
		case '\\', '`', '*', '[', ']', '>', '|', '~':
			out.WriteByte('\\')
		case '#', '+', '-', '=':
			if strings.TrimSpace(text[:i]) == "" { // a heading, a list or a rule only where a line begins
				out.WriteByte('\\')
			}
		}
		out.WriteRune(r)
	}
	return out.String()
}

// inside reports whether the byte at i of text stands between two letters or digits.
func inside(text string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	after, _ := utf8.DecodeRuneInString(text[i+1:])
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	return word(before) && word(after)
}

// fence is a run of backticks that is longer than each in text, and at least least.
func fence(text string, least int) string {
	longest, run := least-1, 0
	for _, r := range text {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return strings.Repeat("`", longest+1)
}

// code writes text as a code span.
func code(text string) string {
	text = printable(text)
	f := fence(text, 1)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return f + text + f
}

// block writes text as a block of code, with the line breaks that it has.
func block(text string) string {
	f := fence(text, 3)
	lines := strings.Split(strings.ReplaceAll(text, "\r", ""), "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return f + "sh\n" + strings.Join(lines, "\n") + "\n" + f
}

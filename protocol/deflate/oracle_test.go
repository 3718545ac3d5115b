package deflate

// The other side: compress/flate from the standard library, and things to compress.

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// inflateByStd is RFC 7692 section 7.2.2 by the standard library: at most most+1 bytes, and whether src is a message.
func inflateByStd(src []byte, most int) (out []byte, ok bool) {
	return inflateBy(flate.NewReader, src, most)
}

// inflateBy reads src once with the tail alone, which a stream without BFINAL runs out of, and once with a block behind
// it that ends the stream: if that block was read as one, both say the same.
func inflateBy(newReader func(io.Reader) io.ReadCloser, src []byte, most int) (out []byte, ok bool) {
	out, _ = readBy(newReader, src, tail, most)
	again, ok := readBy(newReader, src, trailer, most)
	return out, ok && bytes.Equal(out, again)
}

// readBy reads src and end, and reports whether a stream ended where they do, or where src does.
func readBy(newReader func(io.Reader) io.ReadCloser, src []byte, end string, most int) (out []byte, ok bool) {
	in := bytes.NewReader(append(bytes.Clone(src), end...))
	for in.Len() > len(end) {
		more, err := io.ReadAll(io.LimitReader(newReader(in), int64(most+1-len(out))))
		out = append(out, more...)
		if err != nil || len(out) > most {
			return out, false
		}
	}
	return out, in.Len() == 0 || in.Len() == len(end)
}

var stdWriters [10]*flate.Writer

// stdWriter is the standard library's of a level: one is too big to be made for every message.
func stdWriter(level int) *flate.Writer {
	if stdWriters[level] == nil {
		stdWriters[level], _ = flate.NewWriter(nil, level)
	}
	return stdWriters[level]
}

// compressByStd is RFC 7692 section 7.2.1 by the standard library.
func compressByStd(t testing.TB, p []byte, level int) []byte {
	var b bytes.Buffer
	w := stdWriter(level)
	w.Reset(&b)
	_, err := w.Write(p)
	if err == nil {
		err = w.Flush()
	}
	if err != nil || !bytes.HasSuffix(b.Bytes(), []byte(tail)) {
		t.Fatal("compress/flate:", err)
	}
	return b.Bytes()[:b.Len()-len(tail)]
}

// kinds are the five things that group 12 of the Autobahn suite compresses, made instead of shipped.
var kinds = []struct {
	name string
	text bool
	make func(n int) []byte
}{
	{"json", true, func(n int) []byte { return repeatTo(n, jsonRecord) }},
	{"picture", false, pixels},
	{"prose", true, func(n int) []byte { return repeatTo(n, proseLine) }},
	{"markup", true, func(n int) []byte { return repeatTo(n, markupRow) }},
	{"noise", false, noise},
}

// repeatTo is n bytes of what piece makes, cut at the border of a code point and filled up with dots.
func repeatTo(n int, piece func(*rand.Rand) string) []byte {
	rng := rand.New(rand.NewPCG(7692, 6455))
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(piece(rng))
	}
	cut := strings.ToValidUTF8(b.String()[:n], "")
	return []byte(cut + strings.Repeat(".", n-len(cut)))
}

func jsonRecord(rng *rand.Rand) string {
	return fmt.Sprintf(`{"type":"message","room":"chat.%s","data":{"id":"%08x","text":"%s","lat":%.6f,"at":%d,"read":%t}}`+"\n",
		words[rng.IntN(len(words))], rng.Uint32(), proseLine(rng), 52+rng.Float64(), 1700000000000+rng.Int64N(1e9), rng.IntN(2) == 0)
}

var words = strings.Fields("Habe nun ach Philosophie Juristerei und Medizin und leider auch Theologie durchaus studiert mit heißem Bemühn " +
	"Da steh ich nun ich armer Tor und bin so klug als wie zuvor ✓ 日本語")

func proseLine(rng *rand.Rand) string {
	line := make([]string, 3+rng.IntN(8))
	for i := range line {
		line[i] = words[rng.IntN(len(words))]
	}
	return strings.Join(line, " ")
}

func markupRow(rng *rand.Rand) string {
	return fmt.Sprintf("<tr class=\"row\"><td>%d</td><td><a href=\"/user/%d\">%s</a></td></tr>\n", rng.IntN(1000), rng.IntN(100), words[rng.IntN(len(words))])
}

// pixels is a picture as cameras see one: a gradient with some noise.
func pixels(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i%512/4 + i/512%100 + rng.IntN(3))
	}
	return p
}

func noise(n int) []byte {
	rng := rand.New(rand.NewPCG(3, 4))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	return p
}

package deflate

import (
	"bytes"
	"testing"

	library "github.com/klauspost/compress/flate"
)

// FuzzInflate feeds anything: no panic, never more than is allowed, the same each time, and what is taken for a
// message the standard library takes for the same one.
func FuzzInflate(f *testing.F) {
	for _, kind := range kinds {
		f.Add(compressByStd(f, kind.make(300), 6), uint16(1000))
	}
	f.Add(bomb(f, 3), uint16(4000))
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00"), uint16(100))
	f.Add([]byte("\x01\x09\x00\xf6\xff"), uint16(100))
	f.Add([]byte("\x00"), uint16(0))
	var in Inflater
	f.Fuzz(func(t *testing.T, src []byte, most uint16) {
		got, err := in.Inflate(nil, src, int(most))
		if len(got) > int(most) || err != nil && len(got) > 0 {
			t.Fatalf("%d bytes of %d, %v", len(got), most, err)
		}
		want, ok := inflateByStd(src, int(most))
		if err == nil && !ok || err == ErrTooLarge && len(want) <= int(most) {
			// Within one message, our library reads a block that uses distances and defines none with the distances of
			// the block before. Such a message is broken, and harmless.
			want, ok = inflateBy(library.NewReader, src, int(most))
		}
		switch err {
		case nil:
			if !ok || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes; compress/flate: %d, %v", len(got), len(want), ok)
			}
		case ErrTooLarge:
			if len(want) <= int(most) {
				t.Fatalf("too large; compress/flate has %d of %d", len(want), most)
			}
		case ErrCorrupt:
		default:
			t.Fatal(err)
		}
		again, errAgain := new(Inflater).InflateSlowly(nil, src, int(most), func() bool { return true })
		if errAgain != err || !bytes.Equal(again, got) {
			t.Fatalf("a fresh and slow one says %d bytes, %v instead of %d, %v", len(again), errAgain, len(got), err)
		}
	})
}

// FuzzRoundTrip compresses anything by both libraries and wants it back. cuts are places where the standard
// library's writer flushes, which ends a block, or closes, which sets BFINAL and begins a stream.
func FuzzRoundTrip(f *testing.F) {
	for _, kind := range kinds {
		f.Add(kind.make(40), []byte{10, 3, 0, 9}, uint8(6))
	}
	f.Add([]byte{}, []byte{}, uint8(0))
	var in Inflater
	out := NewDeflater(0)
	f.Fuzz(func(t *testing.T, plain, cuts []byte, level uint8) {
		if compressed, ok := out.Deflate(nil, plain); ok {
			if got, err := in.Inflate(nil, compressed, len(plain)); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("ours: %d bytes, %v", len(got), err)
			}
			if got, ok := inflateByStd(compressed, len(plain)); !ok || !bytes.Equal(got, plain) {
				t.Fatalf("ours by compress/flate: %d bytes, %v", len(got), ok)
			}
			if len(compressed) >= len(plain) {
				t.Fatalf("%d bytes of %d", len(compressed), len(plain))
			}
		}
		compressed := compressInPieces(t, plain, cuts, int(level%10))
		if got, err := in.Inflate(nil, compressed, len(plain)); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("compress/flate's %x: %d bytes, %v", compressed, len(got), err)
		}
		if len(plain) > 0 {
			if _, err := in.Inflate(nil, compressed, len(plain)-1); err != ErrTooLarge {
				t.Fatalf("compress/flate's with one byte less: %v", err)
			}
		}
	})
}

// compressInPieces makes a message of several blocks and streams: each cut says how long a piece is and, if odd, that
// the stream ends behind it.
func compressInPieces(t *testing.T, plain, cuts []byte, level int) []byte {
	var b bytes.Buffer
	w := stdWriter(level)
	w.Reset(&b)
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, cut := range cuts {
		n := min(int(cut), len(plain))
		_, err := w.Write(plain[:n])
		check(err)
		plain = plain[n:]
		if cut%2 == 0 {
			check(w.Flush())
		} else {
			check(w.Close())
			w.Reset(&b)
		}
	}
	_, err := w.Write(plain)
	check(err)
	check(w.Flush())
	return bytes.TrimSuffix(b.Bytes(), []byte(tail))
}

package deflate

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/protocol/deflate/deflatetest"
)

// sentence is what the messages made by zlib below stand for.
const sentence = `{"room":"chat.general","data":"hello hello hello"}`

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestInflate(t *testing.T) {
	const (
		zlibDefault = "aa562acacfcf55b2524ace482cd14b4fcd4b2d4acc51d2514a492c49048a66a4e6e4e42b20914ab50000"
		zlibFinish  = "ab562acacfcf55b2524ace482cd14b4fcd4b2d4acc51d2514a492c49048a66a4e6e4e42b20914ab500"
	)
	for _, c := range []struct{ name, in, want string }{
		// The examples of RFC 7692 section 7.2.3.
		{"7.2.3.1 one block", "f2 48 cd c9 c9 07 00", "Hello"},
		{"7.2.3.3 stored block", "00 05 00 fa ff 48 65 6c 6c 6f 00", "Hello"},
		{"7.2.3.4 BFINAL", "f3 48 cd c9 c9 07 00 00", "Hello"},
		{"7.2.3.5 two blocks", "f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "Hello"},
		{"7.2.3.6 empty", "00", ""},

		{"BFINAL and nothing behind it", "f3 48 cd c9 c9 07 00", "Hello"},
		{"BFINAL, then another block", "f3 48 cd c9 c9 07 00  f2 48 cd c9 c9 07 00", "HelloHello"},
		{"BFINAL, stored", "01 05 00 fa ff 48 65 6c 6c 6f", "Hello"},
		{"BFINAL, twice", "f3 48 cd c9 c9 07 00  f3 48 cd c9 c9 07 00  00", "HelloHello"},
		{"BFINAL and empty", "03 00 00", ""},
		{"no payload", "", ""},
		{"many empty blocks", strings.Repeat("00 00 00 ff ff", 100) + "00", ""},

		// Made by zlib 1.3 with other settings than Go's writers have.
		{"zlib", zlibDefault, sentence},
		{"zlib, stored", "003200cdff7b22726f6f6d223a22636861742e67656e6572616c222c2264617461223a2268656c6c6f2068656c6c6f2068656c6c6f227d00", sentence},
		{"zlib, Z_HUFFMAN_ONLY", "aa562acacfcf55b2524ace482cd14b4fcd4b2d4acc51d2514a492c4954b252ca48cdc9c957c848cdc9c957c848cdc9c957aa0500", sentence},
		{"zlib, Z_FULL_FLUSH", "aa562acacfcf55b2524ace482cd14b4fcd4b2d4a04000000ffffca51d2514a492c4954b252ca48cdc9c957009200000000ffffcac957c848cdc9c957aa0500", sentence},
		{"zlib, Z_PARTIAL_FLUSH", "aa562acacfcf55b2524ace482cd14b4fcd4b2d4a0408a01c251da594c49244a068466a4e4ebe029004082018a9540b00", sentence},
		{"zlib, Z_BLOCK", "aa562acacfcf55b2524ace482cd14b4fcd4b2d4a04284749472925b12411289a919a9393af80442ad50200", sentence},
		{"zlib, Z_FINISH", zlibFinish + "00", sentence},
		{"zlib, Z_FINISH and nothing behind it", zlibFinish, sentence},
		{"zlib, all of them", zlibFinish + zlibDefault + "00 00 ff ff" + zlibFinish + "00", strings.Repeat(sentence, 3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f Inflater
			src := unhex(t, c.in)
			for _, most := range []int{len(c.want), len(c.want) + 1, 1 << 20} {
				got, err := f.Inflate([]byte("prefix"), src, most)
				if err != nil || string(got) != "prefix"+c.want {
					t.Errorf("%q, %v with %d bytes allowed; want %q", got, err, most, c.want)
				}
			}
			for _, most := range []int{len(c.want) - 1, len(c.want) / 2, 0, -1} {
				if most >= len(c.want) || len(c.want) == 0 {
					continue
				}
				if got, err := f.Inflate([]byte("prefix"), src, most); err != ErrTooLarge || string(got) != "prefix" {
					t.Errorf("%q, %v with %d bytes allowed", got, err, most)
				}
			}
			if want, ok := inflateByStd(src, 1<<20); !ok || string(want) != c.want {
				t.Errorf("compress/flate says %q, %v", want, ok)
			}
		})
	}
}

func TestCorrupt(t *testing.T) {
	var f Inflater
	for _, c := range []struct{ name, in string }{
		{"reserved block type", "06"},
		{"reserved block type behind a good block", "f2 48 cd c9 c9 07 07"},
		{"a text that is not compressed", hex.EncodeToString([]byte("Hello"))},
		{"stored length and its complement differ", "00 05 00 fb ff 48 65 6c 6c 6f 00"},
		{"7.2.3.2 a window that is not there", "f2 00 11 00 00"},
		{"a window that ended with BFINAL", "f3 48 cd c9 c9 07 00  f2 00 11 00 00"},
		{"tail not cut off, and nothing for it behind", "f2 48 cd c9 c9 07 00 00 00 ff ff"},
		{"stored block that takes all of the trailer", "01 09 00 f6 ff"},
		{"stored block that takes the tail", "00 04 00 fb ff"},
		{"stored block that takes more than there is", "00 ff ff 00 00 48"},
		{"stored block that takes the trailer behind a text", "01 0e 00 f1 ff 48 65 6c 6c 6f"},
		{"byte behind BFINAL", "f3 48 cd c9 c9 07 00 00 00"},
		{"one byte of a header", "04"},
		{"dynamic block without codes", "04 00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := f.Inflate([]byte("prefix"), unhex(t, c.in), 1<<16)
			if err != ErrCorrupt || string(got) != "prefix" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if got, err := f.Inflate(nil, unhex(t, "f248cdc9c90700"), 5); err != nil || string(got) != "Hello" {
		t.Errorf("a good message behind corrupt ones: %q, %v", got, err)
	}
}

// TestTruncated cuts messages short. Without its last byte a message is no message; what is shorter may be one by
// chance, of which only the begin of the whole may come out.
func TestTruncated(t *testing.T) {
	var f Inflater
	for _, kind := range kinds {
		whole := kind.make(1500)
		compressed := compressByStd(t, whole, 6)
		for n := range compressed {
			got, err := f.Inflate(nil, compressed[:n], 1<<16)
			if err == nil && (n == len(compressed)-1 || !bytes.HasPrefix(whole, got)) {
				t.Errorf("%s: %d bytes of %d are a message of %d", kind.name, n, len(compressed), len(got))
			}
		}
	}
}

// bomb is a message of n times 64 KiB of zeros, of which no more exist here than one time.
func bomb(t testing.TB, n int) []byte {
	piece := append(compressByStd(t, make([]byte, 1<<16), 9), tail...)
	return append(bytes.Repeat(piece, n), 0)
}

func TestBombs(t *testing.T) {
	thousand := compressByStd(t, make([]byte, 1<<20), 9)
	inner := compressByStd(t, bytes.Repeat(thousand, 100), 9)
	for _, c := range []struct {
		name string
		in   []byte
		most int
		want error
	}{
		{"1000 to 1", thousand, 64 << 10, ErrTooLarge},
		{"1000 to 1, one byte too much", thousand, 1<<20 - 1, ErrTooLarge},
		{"1000 to 1, allowed", thousand, 1 << 20, nil},
		{"one in another: only the outer one is opened", inner, 1 << 20, nil},
		{"2 GiB of zeros", bomb(t, 2<<30>>16), 64 << 10, ErrTooLarge},
		{"2 GiB of zeros, nothing allowed", bomb(t, 2<<30>>16), 0, ErrTooLarge},
		{"stored block that claims 64 KiB, again and again", bytes.Repeat([]byte{0, 0xff, 0xff, 0, 0}, 1000), 1 << 30, ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f Inflater
			if _, err := f.Inflate(nil, unhex(t, "f248cdc9c90700"), 5); err != nil {
				t.Fatal(err)
			}
			before := allocated()
			got, err := f.Inflate(nil, c.in, c.most)
			spent := allocated() - before
			if err != c.want {
				t.Errorf("%v", err)
			}
			// Doubling up to the bound takes twice the bound; the input is copied once.
			if limit := 3*uint64(max(cap(got), min(c.most, len(got)))) + 2*uint64(len(c.in)) + 64<<10; spent > limit || cap(got) > 2*c.most+firstRoom {
				t.Errorf("allocated %d bytes, more than %d; room for %d", spent, limit, cap(got))
			}
			if cap(f.bytes) > keptInput {
				t.Errorf("keeps %d bytes", cap(f.bytes))
			}
		})
	}
}

// allocated is how many bytes were ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestInflateKeepsNoState(t *testing.T) {
	var f Inflater
	message := unhex(t, "f248cdc9c90700")
	for range 3 {
		if got, err := f.Inflate(nil, message, 5); err != nil || string(got) != "Hello" {
			t.Fatalf("%q, %v", got, err)
		}
		// The RFC's second message of 7.2.3.2 refers to the first, which is gone.
		if _, err := f.Inflate(nil, unhex(t, "f200110000"), 5); err != ErrCorrupt {
			t.Fatal(err)
		}
		if _, err := f.Inflate(nil, bomb(t, 2), 100); err != ErrTooLarge {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(message, unhex(t, "f248cdc9c90700")) {
		t.Error("src was changed")
	}
}

func TestErrors(t *testing.T) {
	codes := map[Error]ws.StatusCode{ErrTooLarge: 1009, ErrCorrupt: 1007}
	reasons := map[string]bool{"unknown": true}
	for _, e := range Errors() {
		if e.Code() != codes[e] || reasons[e.Reason()] || e.Reason() == "" || e.Error() == "deflate: " {
			t.Errorf("error %d: code %d, reason %q, %q", e, e.Code(), e.Reason(), e.Error())
		}
		reasons[e.Reason()] = true
	}
	if len(Errors()) != len(codes) {
		t.Errorf("%d errors", len(Errors()))
	}
	for _, e := range []Error{0, errorEnd, 255} {
		if e.Reason() != "unknown" || e.Error() != "unknown deflate error" || e.Code() != ws.StatusInvalidFramePayloadData {
			t.Errorf("error %d: %q, %q, %d", uint8(e), e.Reason(), e.Error(), e.Code())
		}
	}
}

// TestStaleTables has a broken message use a code table that it leaves empty, which the library reads with the table
// that the message before left there. Without primer this is a message of 39 bytes behind some others.
func TestStaleTables(t *testing.T) {
	broken := unhex(t, "5c8fc18d03210c455b71317b5a69a53d6c03cc602d5f31432ce34bdac83552314927a924206646939c6f3231304138303031303130323131303830c90b")
	var f Inflater
	for _, kind := range kinds {
		for _, n := range []int{100, 300, 1000, 3000} {
			for _, level := range []int{1, 6, 9} {
				if _, err := f.Inflate(nil, compressByStd(t, kind.make(n), level), n); err != nil {
					t.Fatal(err)
				}
				if got, err := f.Inflate(nil, broken, 1<<16); err != ErrCorrupt {
					t.Errorf("behind %s of %d: %d bytes, %v", kind.name, n, len(got), err)
				}
			}
		}
	}
}

func TestPrimer(t *testing.T) {
	var w deflatetest.Writer
	w.EmptyDynamicBlock(30)
	w.StoredHeader()
	if got := string(w.Bytes) + tail; got != primer {
		t.Errorf("%x, not %x", primer, got)
	}
}

// TestOutOfProportion: blocks that are all code table and no data are refused early, whatever the message may have.
func TestOutOfProportion(t *testing.T) {
	hostile := deflatetest.CodeTables(1 << 20)
	var f Inflater
	if out, err := f.Inflate(nil, hostile, 4<<20); err != ErrCorrupt || len(out) != 0 {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	// The same size of honest input, which does not shrink at all, is read to the end.
	rng := rand.New(rand.NewPCG(1, 2))
	honest := make([]byte, 1<<20)
	for i := range honest {
		honest[i] = byte(rng.Uint32())
	}
	for _, level := range []int{0, 1, 6, 9} {
		out, err := f.Inflate(nil, compressByStd(t, honest, level), len(honest))
		if err != nil || !bytes.Equal(out, honest) {
			t.Errorf("level %d: %d bytes, %v", level, len(out), err)
		}
	}
}

// TestInflateSlowly: the same comes out, with a pause at least every so many bytes, and after a pause that says so nothing
// is read any more.
func TestInflateSlowly(t *testing.T) {
	var f Inflater
	for _, kind := range kinds {
		plain := kind.make(60 << 10)
		compressed := compressByStd(t, plain, 6)
		pauses := 0
		out, err := f.InflateSlowly(nil, compressed, len(plain), func() bool { pauses++; return true })
		if err != nil || !bytes.Equal(out, plain) {
			t.Errorf("%s: %d bytes, %v", kind.name, len(out), err)
		}
		// A stored block is read in pieces of a window.
		if least := len(compressed) / (32 << 10); pauses < least || kind.text && pauses < len(compressed)/pauseEvery {
			t.Errorf("%s: %d pauses in %d bytes", kind.name, pauses, len(compressed))
		}
		left := 3
		if out, err = f.InflateSlowly(nil, compressed, len(plain), func() bool { left--; return left > 0 }); err != ErrCorrupt || len(out) > 0 || left < 0 {
			t.Errorf("%s, given up: %d bytes, %v, %d pauses too many", kind.name, len(out), err, -left)
		}
		if out, err = f.Inflate(nil, compressed, len(plain)); err != nil || !bytes.Equal(out, plain) {
			t.Errorf("%s, the next message: %d bytes, %v", kind.name, len(out), err)
		}
	}
}

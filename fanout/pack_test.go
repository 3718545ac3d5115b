package fanout

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// packOf is a pack of members as they stand.
func packOf(members ...string) []byte {
	var pack []byte
	for _, m := range members {
		pack = AppendPacked(pack, m)
	}
	return pack
}

func TestPackKeepsEverything(t *testing.T) {
	member := rapid.Custom(func(t *rapid.T) string {
		data := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")
		return string(AppendEnvelope(nil, &Publication{Kind: Binary, Data: data, From: "u", Time: 1}))
	})
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(member, 1, 20).Draw(t, "members")
		size := 1
		for _, m := range want {
			size += PackedBytes(len(m))
		}
		pack := packOf(want...)
		if !IsPack(pack) || !IsPack(string(pack)) || len(pack) != size {
			t.Fatalf("a pack of %d bytes where %d are expected begins with %x", len(pack), size, pack[0])
		}
		var got []string
		for envelope, err := range Unpack(pack) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(envelope))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("packed %q\n   got %q", want, got)
		}
		if err := DecodeEnvelope("r", pack, new(Publication)); !errors.Is(err, ErrEnvelope) {
			t.Fatalf("a pack is read as one publication: %v", err)
		}
	})
}

func TestDamagedPack(t *testing.T) {
	const good = "\x01\x02\x00data"
	for _, c := range []struct {
		name         string
		pack         []byte
		good, wrongs int
	}{
		{name: "nothing", wrongs: 1},
		{name: "no pack", pack: []byte(good), wrongs: 1},
		{name: "empty", pack: []byte{envelopePack}, wrongs: 1},
		{name: "one", pack: packOf(good), good: 1},
		{name: "an empty member", pack: packOf(good, "", good), good: 2, wrongs: 1},
		{name: "a pack in a pack", pack: packOf(good, string(packOf(good, good)), good), good: 2, wrongs: 1},
		{name: "one with a place in the stream", pack: packOf("\x02e:1:"+good, good), good: 1, wrongs: 1},
		{name: "one published again", pack: packOf("\x04\x01\x07"+good, good), good: 1, wrongs: 1},
		{name: "a backend's", pack: packOf(good, `{"roomId":"r","content":1}`), good: 1, wrongs: 1},
		{name: "cut in a member", pack: packOf(good, good)[:12], good: 1, wrongs: 1},
		{name: "cut in a length", pack: append(packOf(good), 0x80), good: 1, wrongs: 1},
		{name: "a length of too many bytes", pack: append([]byte{envelopePack}, bytes.Repeat([]byte{0xff}, 12)...), wrongs: 1},
		{name: "the largest length", pack: binary.AppendUvarint([]byte{envelopePack}, 1<<64-1), wrongs: 1},
		{name: "one more than there is", pack: append([]byte{envelopePack, 8}, good...), wrongs: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			goods, wrongs := 0, 0
			for envelope, err := range Unpack(c.pack) {
				switch {
				case err == nil && string(envelope) == good:
					goods++
				case errors.Is(err, ErrEnvelope) && envelope == nil:
					wrongs++
				default:
					t.Errorf("it gives %q, %v", envelope, err)
				}
			}
			if goods != c.good || wrongs != c.wrongs {
				t.Errorf("%d good ones and %d errors, want %d and %d", goods, wrongs, c.good, c.wrongs)
			}
		})
	}
	for range Unpack(packOf(good, good)) {
		break // ends it, which would panic if it went on
	}
}

// Names that come again are used again, and never hang on to the bytes they were read from.
func TestDecodeUsesNamesAgain(t *testing.T) {
	var p Publication
	for _, names := range [][2]string{{"n1", "alice"}, {"n1", "bob"}, {"", "bob"}, {"n1", ""}, {"bob", "n1"}, {strings.Repeat("n", 300), "bob"}} {
		b := AppendEnvelope(nil, &Publication{Node: names[0], From: names[1], Data: []byte("1")})
		if err := DecodeEnvelope("r", b, &p); err != nil {
			t.Fatal(err)
		}
		clear(b)
		if p.Node != names[0] || p.From != names[1] {
			t.Errorf("node %q and user %q are read as %q and %q", names[0], names[1], p.Node, p.From)
		}
	}
	b := AppendEnvelope(nil, &Publication{Node: "node-1", From: "alice", Data: []byte("1")})
	allocations := testing.AllocsPerRun(100, func() { _ = DecodeEnvelope("r", b, &p) })
	if allocations != 0 {
		t.Errorf("the same names again cost %.0f allocations", allocations)
	}
}

// FuzzUnpack looks for a pack whose members, packed again, are read as others.
func FuzzUnpack(f *testing.F) {
	f.Add(packOf("\x01\x02\x00data", "\x01\x00\x00{}"))
	f.Add(packOf("\x01\x02\x00", string(packOf("\x01\x02\x00"))))
	f.Add([]byte{envelopePack, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var members []string
		steps := 0
		for envelope, err := range Unpack(b) {
			if steps++; steps > len(b)+1 {
				t.Fatalf("%d members are found in %d bytes", steps, len(b))
			}
			if err != nil {
				continue
			}
			if IsPack(envelope) {
				t.Fatalf("a pack is found in a pack: %q", envelope)
			}
			members = append(members, string(envelope))
			var p Publication
			if err := DecodeEnvelope("r", envelope, &p); err == nil && p.Position != (Position{}) {
				t.Fatalf("a place in the stream is found in a pack: %q", envelope)
			}
		}
		var again []string
		for envelope, err := range Unpack(packOf(members...)) {
			if err == nil {
				again = append(again, string(envelope))
			}
		}
		if !slices.Equal(members, again) {
			t.Fatalf("%q\nbecame %q", members, again)
		}
	})
}

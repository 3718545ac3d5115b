package fanout

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEnvelopeKeepsEverything(t *testing.T) {
	text := rapid.StringN(0, 40, 200)
	rapid.Check(t, func(t *rapid.T) {
		want := Publication{
			Room: "room", Kind: Kind(rapid.IntRange(0, int(Missed)).Draw(t, "kind")),
			From: text.Draw(t, "from"), Node: rapid.StringN(0, 20, 80).Draw(t, "node"),
			Time: rapid.Int64Range(0, math.MaxInt64).Draw(t, "time"), Sender: rapid.Uint64().Draw(t, "sender"),
		}
		if want.Kind == Binary {
			want.Data = rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		} else {
			want.Data = []byte(text.Draw(t, "text"))
		}
		b := []byte("before")
		if rapid.Bool().Draw(t, "positioned") {
			want.Position = Position{Epoch: rapid.StringMatching(`[a-z0-9]{1,64}`).Draw(t, "epoch"), Offset: rapid.Uint64Min(1).Draw(t, "offset")}
			b = AppendPositioned(b, want.Position)
		}
		if rapid.Bool().Draw(t, "restored") {
			want.Was = rapid.SliceOfN(rapid.Uint64(), 1, MaxWas).Draw(t, "was")
			b = AppendRestored(b, want.Was)
		}
		b = AppendEnvelope(b, &want)
		var got Publication
		if err := DecodeEnvelope("room", b[len("before"):], &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if !bytes.Equal(got.Data, want.Data) {
			t.Fatalf("data %q became %q", want.Data, got.Data)
		}
		got.Data, want.Data = nil, nil
		if !samePublication(got, want) {
			t.Fatalf("sent %+v\n got %+v", want, got)
		}
	})
}

// samePublication compares all but Data.
func samePublication(a, b Publication) bool {
	return a.Room == b.Room && a.Kind == b.Kind && a.From == b.From && a.Time == b.Time && a.Position == b.Position &&
		a.Node == b.Node && a.Sender == b.Sender && slices.Equal(a.Was, b.Was)
}

func TestPlainEnvelope(t *testing.T) {
	for _, c := range []struct{ name, envelope, data, wrong string }{
		{name: "an object", envelope: `{"roomId":"r","content":{"a": [1, 2.50]}}`, data: `{"a": [1, 2.50]}`},
		{name: "in any order, with space", envelope: " \n{ \"content\" : \"grüß\" , \"roomId\" : \"r\" }\n", wrong: "version 32"},
		{name: "the other order", envelope: `{"content":"x","roomId":"r"} ` + "\n", data: `"x"`},
		{name: "null", envelope: `{"roomId":"r","content":null}`, data: `null`},
		{name: "another room", envelope: `{"roomId":"s","content":1}`, wrong: "roomId"},
		{name: "no room", envelope: `{"content":1}`, wrong: "roomId"},
		{name: "no content", envelope: `{"roomId":"r"}`, wrong: "no content"},
		{name: "a name it does not know", envelope: `{"room":"r","content":1}`, wrong: "not JSON of the form"},
		{name: "two", envelope: `{"roomId":"r","content":1}{"roomId":"r","content":2}`, wrong: "follows"},
		{name: "broken", envelope: `{"roomId":"r","content":`, wrong: "not JSON"},
		{name: "broken inside", envelope: `{"roomId":"r","content":{"a":01}}`, wrong: "not JSON"},
		{name: "not UTF-8", envelope: "{\"roomId\":\"r\",\"content\":\"\xff\"}", wrong: "UTF-8"},
		{name: "deep", envelope: `{"roomId":"r","content":` + strings.Repeat("[", 20000), wrong: "not JSON"},
		{name: "with a place in the stream", envelope: "\x02e1:7:" + `{"roomId":"r","content":1}`, data: `1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Publication
			err := DecodeEnvelope("r", []byte(c.envelope), &p)
			if c.wrong != "" {
				if !errors.Is(err, ErrEnvelope) || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("err is %v, want one about %q", err, c.wrong)
				}
				return
			}
			if err != nil || string(p.Data) != c.data || p.Kind != JSON || p.Room != "r" {
				t.Errorf("got %+v with %q, %v", p, p.Data, err)
			}
		})
	}
}

func TestDamagedEnvelope(t *testing.T) {
	whole := AppendEnvelope(AppendRestored(AppendPositioned(nil, Position{Epoch: "e", Offset: 9}), []uint64{1, 1 << 40}),
		&Publication{Kind: Text, From: "alice", Node: "n1", Time: 1 << 40, Sender: 1 << 60})
	for cut := range whole {
		var p Publication
		if err := DecodeEnvelope("r", whole[:cut], &p); !errors.Is(err, ErrEnvelope) {
			t.Errorf("the first %d bytes of %d are read as %+v, %v", cut, len(whole), p, err)
		}
	}
	for _, damaged := range []string{
		"\x00", "\x03abc", "\x01\x06\x00", "\x01\x00\x10", "\x02:1:\x01\x00\x00", "\x02e:0:\x01\x00\x00", "\x02e:x:\x01\x00\x00",
		"\x02e:18446744073709551616:\x01\x00\x00", "\x02" + strings.Repeat("e", 65) + ":1:\x01\x00\x00",
		"\x02e:1:\x02e:1:\x01\x00\x00", "\x04\x00\x01\x00\x00", "\x04\x09" + strings.Repeat("\x01", 9) + "\x01\x00\x00",
		"\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01", "\x04\x01\x01\x04\x01\x01\x01\x00\x00", "\x01\x00\x00\xff", "\x01\x01\x08\x01\xff",
	} {
		var p Publication
		if err := DecodeEnvelope("r", []byte(damaged), &p); !errors.Is(err, ErrEnvelope) {
			t.Errorf("%q is read as %+v, %v", damaged, p, err)
		}
	}
}

// FuzzDecodeEnvelope looks for bytes that are read as something that would not be written and read the same again.
func FuzzDecodeEnvelope(f *testing.F) {
	f.Add([]byte(`{"roomId":"r","content":1}`))
	f.Add(AppendEnvelope(AppendRestored(AppendPositioned(nil, Position{"e", 9}), []uint64{7, 300}), &Publication{Data: []byte("1")}))
	f.Add(AppendEnvelope(AppendPositioned(nil, Position{"e", 1}), &Publication{From: "a", Node: "n", Time: 1, Sender: 2, Data: []byte("1")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, again Publication
		if DecodeEnvelope("r", b, &first) != nil {
			return
		}
		var out []byte
		if first.Position != (Position{}) {
			out = AppendPositioned(out, first.Position)
		}
		if first.Was != nil {
			out = AppendRestored(out, first.Was)
		}
		if err := DecodeEnvelope("r", AppendEnvelope(out, &first), &again); err != nil {
			t.Fatalf("%+v was read and can't be read again: %v", first, err)
		}
		if !samePublication(first, again) || !bytes.Equal(first.Data, again.Data) {
			t.Fatalf("%+v\nbecame %+v", first, again)
		}
	})
}

package report

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/roost-ws/roost/bench"
)

func jsonOf(t testing.TB, r *bench.Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := WriteJSON(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestJSONComesBack(t *testing.T) {
	for _, r := range []*bench.Report{sample(), hostile(), {}} {
		text := jsonOf(t, r)
		got, err := ReadJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if again := jsonOf(t, got); again != text {
			t.Errorf("differs after a round trip:\n%s", again)
		}
	}
}

func TestJSONKeepsWhatIsNoNumber(t *testing.T) {
	r := sample()
	r.Figures[0].Samples[0].Values[0].Value = math.NaN()
	r.Figures[0].Samples[0].Values[1] = bench.Value{Value: math.Inf(1), ClientShare: math.NaN(), Mark: "3 lost"}
	r.Curves[0].Lines[0].Points[0].X = math.NaN()
	r.Curves[0].Limit = math.Inf(-1)
	got, err := ReadJSON(strings.NewReader(jsonOf(t, r)))
	if err != nil {
		t.Fatal(err)
	}
	v := got.Figures[0].Samples[0].Values
	if v[0].Mark != notNumber || v[1].Mark != "3 lost" || got.Curves[0].Lines[0].Points[0].Values[2].Mark != notNumber {
		t.Errorf("%+v, %+v", v, got.Curves[0].Lines[0].Points[0])
	}
	if !math.IsNaN(r.Figures[0].Samples[0].Values[0].Value) || !math.IsNaN(r.Curves[0].Lines[0].Points[0].X) {
		t.Error("writing changed the report")
	}
	for name, write := range map[string]func(io.Writer, *bench.Report) error{"page": WriteHTML, "tables": WriteMarkdown} {
		var out bytes.Buffer
		if err := write(&out, r); err != nil || !strings.Contains(out.String(), notNumber) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadJSONRefuses(t *testing.T) {
	base := func(change func(map[string]any)) string {
		r := sample()
		r.Curves = r.Curves[:1]
		var tree map[string]any
		if err := json.Unmarshal([]byte(jsonOf(t, r)), &tree); err != nil {
			t.Fatal(err)
		}
		change(tree)
		text, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	figure := func(tree map[string]any) map[string]any { return tree["figures"].([]any)[2].(map[string]any) }
	first := func(list any) map[string]any { return list.([]any)[0].(map[string]any) }
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "EOF"},
		{"not JSON", `{"title":x}`, "not JSON at byte"},
		{"cut", `{"title":"a`, "unexpected EOF"},
		{"more behind", "{} {}", "more after its end, at byte"},
		{"a list", "[]", "a JSON array where a bench.Report belongs"},
		{"unknown field", `{"titel":"a"}`, `"titel"`},
		{"wrong kind", `{"rounds":"three"}`, "rounds: a JSON string where a int belongs"},
		{"wrong kind inside", `{"figures":[{"samples":[{"values":[{"value":"fast"}]}]}]}`, "value: a JSON string"},
		{"too great", `{"figures":[{"samples":[{"values":[{"value":1e999}]}]}]}`, "value: a JSON number 1e999"},
		{"bad time", `{"started":"yesterday"}`, "started: "},
		{"server twice", base(func(t map[string]any) { first(t["servers"])["name"] = "gws" }), `servers[4].name: "gws" is there twice`},
		{"server without name", base(func(t map[string]any) { first(t["servers"])["name"] = "" }), `servers[0].name: is empty`},
		{"fact twice", base(func(t map[string]any) { first(t["machine"])["key"] = "cpus" }), `machine[1].key: "cpus" is there twice`},
		{"figure without ID", base(func(t map[string]any) { figure(t)["id"] = "" }), "figures[2].id: is empty"},
		{"figure twice", base(func(t map[string]any) { figure(t)["id"] = "echo-1" }), `figures[5].id: "echo-1" is there twice`},
		{"neither way", base(func(t map[string]any) { figure(t)["better"] = "red" }), `figures[2].better: "red"`},
		{"stranger", base(func(t map[string]any) { first(figure(t)["samples"])["server"] = "x" }), `figures[2].samples[0].server: "x" is not among`},
		{"sample twice", base(func(t map[string]any) { first(figure(t)["samples"])["server"] = "gws" }), `figures[2].samples[4].server: "gws" is there twice`},
		{"share below 0", base(func(t map[string]any) { first(first(figure(t)["samples"])["values"])["client_share"] = -1 }), "figures[2].samples[0].values[0].client_share: "},
		{"line of a stranger", base(func(t map[string]any) { first(first(t["curves"])["lines"])["server"] = "x" }), `curves[0].lines[0].server: "x"`},
		{"share of a point", base(func(t map[string]any) {
			first(first(first(first(t["curves"])["lines"])["points"])["values"])["server_share"] = -1
		}), "curves[0].lines[0].points[0].values[0].server_share"},
		{"too long", strings.Repeat(" ", MaxBytes+1), "longer than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ReadJSON(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := ReadJSON(iotest.ErrReader(io.ErrClosedPipe)); err == nil {
		t.Error("a broken reader is no report")
	}
}

// FuzzReadJSON asks that reading never panics, that the verdict does not depend on how the bytes arrive, and that
// whatever was read can be written in every form and compared with itself.
func FuzzReadJSON(f *testing.F) {
	small := hostile()
	small.Servers, small.Figures, small.Curves = small.Servers[:1], small.Figures[6:7], small.Curves[1:]
	small.Figures[0].Samples, small.Curves[0].Lines = small.Figures[0].Samples[:1], small.Curves[0].Lines[:1]
	f.Add([]byte(jsonOf(f, small)))
	f.Add([]byte(`{"figures":[{"id":"a","better":"less","samples":[{"server":"s","values":[{"value":1e308},{"value":1e308}]}]}],"servers":[{"name":"s","ours":true}]}`))
	f.Add([]byte(`{"curves":[{"id":"a","log_x":true,"lines":[{"server":"s","points":[{"x":-1,"values":[{"mark":"x"}]}]}]}],"servers":[{"name":"s"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ReadJSON(bytes.NewReader(text))
		again, errAgain := ReadJSON(iotest.OneByteReader(bytes.NewReader(text)))
		if (err == nil) != (errAgain == nil) {
			t.Fatalf("whole: %v, in bytes: %v", err, errAgain)
		}
		if err != nil {
			return
		}
		first := jsonOf(t, r)
		if jsonOf(t, again) != first {
			t.Fatal("reads differently in bytes")
		}
		if _, err := ReadJSON(strings.NewReader(first)); err != nil {
			t.Fatalf("cannot read what was written: %v", err)
		}
		if err := WriteMarkdown(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		if err := WriteHTML(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		changes, err := Changes(r, r, "")
		if err == nil {
			err = WriteChanges(io.Discard, changes)
		}
		for _, c := range changes {
			if c.Verdict == Regressed {
				t.Fatalf("worse than itself: %+v, %v", c, err)
			}
		}
	})
}

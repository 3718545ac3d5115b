package report

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roost-ws/roost/bench"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; if that is meant, run go test -update. It is now:\n%s", path, got)
	}
}

func markdownOf(t *testing.T, r *bench.Report) string {
	t.Helper()
	var out strings.Builder
	if err := WriteMarkdown(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestMarkdown(t *testing.T) {
	golden(t, "report.md", markdownOf(t, sample()))
}

func TestMarkdownOfLittle(t *testing.T) {
	little := &bench.Report{
		Title: "One server", Rounds: 1, Servers: []bench.Server{{Name: "lone"}},
		Figures: []bench.Figure{{ID: "f", Title: "Echo", Unit: "/s", Better: bench.More, Samples: []bench.Sample{{Server: "lone", Values: values(12)}}}},
	}
	golden(t, "little.md", markdownOf(t, little))
}

func TestMarkdownTablesAreWhole(t *testing.T) {
	for _, r := range []*bench.Report{sample(), hostile()} {
		columns := 0
		for line := range strings.Lines(markdownOf(t, r)) {
			if !strings.HasPrefix(line, "|") {
				columns = 0
				continue
			}
			n := strings.Count(line, "|") - strings.Count(line, `\|`)
			if columns != 0 && n != columns {
				t.Errorf("%d columns instead of %d: %s", n-1, columns-1, line)
			}
			columns = n
		}
	}
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"roost":                 "roost",
		"net.ipv4.tcp_rmem":     "net.ipv4.tcp_rmem",
		"_loud_":                `\_loud\_`,
		"a|b":                   `a\|b`,
		"a\nb\r\tc":             "a b  c",
		"<b>&amp;":              `&lt;b\>&amp;amp;`,
		"[x](y)":                `\[x\](y)`,
		"`x` *y* ~~z~~":         "\\`x\\` \\*y\\* \\~\\~z\\~\\~",
		`\|`:                    `\\\|`,
		"# one":                 `\# one`,
		"- one - two":           `\- one - two`,
		"\u202eevil\u200b\x00":  " evil  ",
		"1.5 × better \xff ok.": "1.5 × better   ok.",
	} {
		if got := plain(text); got != want {
			t.Errorf("%q is written %q, want %q", text, got, want)
		}
	}
}

func TestCode(t *testing.T) {
	for text, want := range map[string]string{"a": "`a`", "a`b": "``a`b``", "`": "`` ` ``", "a\nb": "`a b`"} {
		if got := code(text); got != want {
			t.Errorf("%q is written %q, want %q", text, got, want)
		}
	}
	if got := block("a \\\r\n  b ```` c"); got != "`````sh\na \\\n  b ```` c\n`````" {
		t.Errorf("%q", got)
	}
}

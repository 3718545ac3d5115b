package report

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/bench"
)

// evil is what a program might print where its version is asked for.
const evil = "</script><img src=x onerror=alert(1)>\" ' ` | ]]> {{.}} <!-- javascript:alert(1) \u202e\n# x"

// hostile is a report all of whose texts are evil, each in its own way so that names differ.
func hostile() *bench.Report {
	r := sample()
	n := 0
	spoil := func(texts ...*string) {
		for _, text := range texts {
			n++
			*text = fmt.Sprintf("%s%d", evil, n)
		}
	}
	spoil(&r.Title, &r.Command, &r.Remarks[0])
	for i := range r.Machine {
		spoil(&r.Machine[i].Name, &r.Machine[i].Value)
	}
	for i := range r.Settings {
		spoil(&r.Settings[i].Key, &r.Settings[i].Name, &r.Settings[i].Value)
	}
	for i := range r.Servers {
		s := &r.Servers[i]
		spoil(&s.Name, &s.About, &s.Version, &s.Command)
		for j := range r.Figures {
			if i < len(r.Figures[j].Samples) {
				r.Figures[j].Samples[i].Server = s.Name
			}
		}
		for j := range r.Curves {
			r.Curves[j].Lines[i].Server = s.Name
		}
	}
	for i := range r.Figures {
		f := &r.Figures[i]
		spoil(&f.ID, &f.Title, &f.Group, &f.Unit, &f.Explain, &f.Samples[1].Values[0].Mark)
	}
	for i := range r.Curves {
		c := &r.Curves[i]
		spoil(&c.ID, &c.Title, &c.Group, &c.Explain, &c.XName, &c.XUnit, &c.YName, &c.YUnit, &c.Lines[1].Points[0].Values[0].Mark)
	}
	return r
}

func pageOf(t *testing.T, r *bench.Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := WriteHTML(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var (
	scripts = regexp.MustCompile(`(?s)<script([^>]*)>(.*?)</script>`)
	styles  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	policy  = regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`)
	anchors = regexp.MustCompile(`href="#([^"]*)"`)
	fetched = regexp.MustCompile(`(?i)(src|srcset|href|action|data)\s*=\s*"?(https?:)?//`)
)

// body is the page without what its scripts and style hold.
func body(page string) string {
	return styles.ReplaceAllString(scripts.ReplaceAllString(page, ""), "")
}

func TestPageAllowsItsOwnScriptsAlone(t *testing.T) {
	for _, r := range []*bench.Report{sample(), hostile()} {
		page := pageOf(t, r)
		rules := html.UnescapeString(policy.FindStringSubmatch(page)[1])
		run := 0
		for _, s := range scripts.FindAllStringSubmatch(page, -1) {
			if strings.Contains(s[1], "application/json") {
				continue
			}
			run++
			if !strings.Contains(rules, source(s[2])) {
				t.Errorf("the policy forbids a script of the page: %.60q", s[2])
			}
		}
		if run != 2 || strings.Count(rules, "sha256-") != 3 || !strings.Contains(rules, source(styles.FindStringSubmatch(page)[1])) {
			t.Errorf("%d scripts under %s", run, rules)
		}
		if !strings.HasPrefix(rules, "default-src 'none'; ") || strings.Contains(rules, "unsafe") {
			t.Errorf("the policy is %s", rules)
		}
	}
}

func TestPageFetchesNothing(t *testing.T) {
	page := body(pageOf(t, sample()))
	for _, found := range fetched.FindAllString(page, -1) {
		if !strings.Contains(page, `<a `+found) { // where a reader may click
			t.Errorf("fetches %s", found)
		}
	}
	if n := strings.Count(page, "//"); n != 1 {
		t.Errorf("%d addresses, want the one of uPlot", n)
	}
}

// TestPageIsWhole reads the page as XML, which asks that every element is closed where it was opened.
func TestPageIsWhole(t *testing.T) {
	for _, r := range []*bench.Report{sample(), hostile(), {Title: "nothing"}} {
		page := pageOf(t, r)
		ids := map[string]bool{}
		decoder := xml.NewDecoder(strings.NewReader(body(page)))
		decoder.Strict, decoder.AutoClose, decoder.Entity = false, []string{"meta", "link", "col"}, xml.HTMLEntity
		var open []string
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			switch e := token.(type) {
			case xml.StartElement:
				open = append(open, e.Name.Local)
				checkElement(t, e, ids)
			case xml.EndElement:
				if last := open[len(open)-1]; last != e.Name.Local {
					t.Fatalf("</%s> closes <%s>", e.Name.Local, last)
				}
				open = open[:len(open)-1]
			}
		}
		for _, a := range anchors.FindAllStringSubmatch(page, -1) {
			if !ids[a[1]] {
				t.Errorf("a link to #%s leads nowhere", a[1])
			}
		}
	}
}

// checkElement asks that names are unique and nothing runs or is styled beside the policy.
func checkElement(t *testing.T, e xml.StartElement, ids map[string]bool) {
	t.Helper()
	known := []string{"html", "head", "body", "main", "header", "footer", "section", "div", "p", "span", "strong", "a", "ul", "li",
		"h1", "h2", "h3", "dl", "dt", "dd", "pre", "table", "caption", "colgroup", "col", "thead", "tbody", "tr", "th", "td",
		"figure", "figcaption", "svg", "rect", "line", "circle", "details", "summary", "s", "noscript", "meta", "link", "title"}
	if !slices.Contains(known, e.Name.Local) {
		t.Errorf("an element <%s>, which the template does not have", e.Name.Local)
	}
	for _, a := range e.Attr {
		if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
			t.Errorf("<%s %s>", e.Name.Local, a.Name.Local)
		}
		if a.Name.Local == "id" {
			if ids[a.Value] {
				t.Errorf("#%s is there twice", a.Value)
			}
			ids[a.Value] = true
		}
	}
}

func TestPageShowsWhatItHas(t *testing.T) {
	page := pageOf(t, sample())
	for _, want := range []string{
		"better than the best of the others in 8 of 12 figures", "Who was the bottleneck", "1 of 3 rounds not used: 3 lost",
		`<span class="mark">client saturated</span>`, "5000 late", "AMD EPYC 7B13", "net.ipv4.tcp_rmem", "v1.8.14", "others gws --listen",
		"roost bench compare --servers", "24 November 2026, 14:05 UTC", "<caption", "41 of 453 values are marked", "Leon Sorokin",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(page, `class="plot"`); n != 2 {
		t.Errorf("%d places for curves, want 2", n)
	}
}

func TestWritersPassErrorsOn(t *testing.T) {
	broken := func(w io.Writer) map[string]error {
		return map[string]error{"html": WriteHTML(w, sample()), "md": WriteMarkdown(w, sample()), "json": WriteJSON(w, sample()), "changes": WriteChanges(w, nil)}
	}
	r, w := io.Pipe()
	_ = r.Close()
	for name, err := range broken(w) {
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPageKeepsItsDirection(t *testing.T) {
	if strings.ContainsAny(pageOf(t, hostile()), "\u202e\x00\x1b") {
		t.Error("a name turns the text around it")
	}
}

// TestLibraryIsUnchanged compares uPlot with the sums that say which version it is.
func TestLibraryIsUnchanged(t *testing.T) {
	notes, err := os.ReadFile("assets/uplot/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{uplotScript, uplotStyle, uplotLicence} {
		sum := sha256.Sum256([]byte(text))
		if !bytes.Contains(notes, []byte(hex.EncodeToString(sum[:]))) {
			t.Errorf("a file that begins with %.40q is not the one of the package", text)
		}
	}
	for _, text := range []string{uplotScript, uplotStyle, pageScript, pageStyle, uplotLicence} {
		if strings.Contains(strings.ToLower(text), "</") || strings.Contains(text, "<!--") {
			t.Errorf("a file that begins with %.40q would end its element", text)
		}
	}
}

// TestPageInBrowser opens the pages in Chromium: all curves are drawn, and nothing is said against the policy.
func TestPageInBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Chromium")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*bench.Report{"sample": sample(), "hostile": hostile()} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, err := WriteFiles(dir, r)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			run := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(dir, "profile"),
				"--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom", "file://"+path)
			var said bytes.Buffer
			run.Stderr = &said
			dom, err := run.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, &said)
			}
			if n := strings.Count(body(string(dom)), "<canvas"); n != len(r.Curves) {
				t.Errorf("%d curves are drawn, want %d", n, len(r.Curves))
			}
			for line := range strings.Lines(said.String()) {
				if strings.Contains(line, "CONSOLE") {
					t.Error(line)
				}
			}
		})
	}
}

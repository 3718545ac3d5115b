package admin

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestConsoleListsTheRoutes(t *testing.T) {
	p := open(t, setup{admin: withKey})
	got := p.ask("GET", "/", "")
	if got.status != 200 || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", got.status, got.header)
	}
	for _, route := range p.routes {
		if !strings.Contains(got.body, route.pattern) {
			t.Errorf("the list lacks %s", route.pattern)
		}
	}
	if strings.Contains(got.body, testKey) || !strings.Contains(got.body, "Authorization: Bearer") {
		t.Errorf("the page says %s", got.body)
	}
	if got := open(t, setup{}).ask("GET", "/", ""); !strings.Contains(got.body, "this machine only") || strings.Contains(got.body, "pprof/{") {
		t.Errorf("the page says %s", got.body)
	}
	if got := open(t, setup{admin: func(o *Options) { o.Listen = ":0" }}).ask("GET", "/", ""); !strings.Contains(got.body, "is off") {
		t.Errorf("the page says %s", got.body)
	}
}

// TestConsoleRunsNothingButItsFiles holds the page against its own policy: a script, a style or a listener written
// into it would silently do nothing.
func TestConsoleRunsNothingButItsFiles(t *testing.T) {
	got := open(t, setup{}).ask("GET", "/", "")
	policy := got.header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, part+";") {
			t.Errorf("the policy %q lacks %s", policy, part)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy is %q", policy)
	}
	if inline := regexp.MustCompile(`(?i)<script>|<style|\s(style|on[a-z]+)=|javascript:|https?://`).FindString(got.body); inline != "" {
		t.Errorf("the page has %q", inline)
	}
}

// imported finds what a file of the page or of the client asks for.
var imported = regexp.MustCompile(`(?m)(?:^import .*from |src=|href=)['"]([^'"]+\.(?:js|css|svg))['"]`)

func TestConsoleFiles(t *testing.T) {
	p := open(t, setup{})
	asked := map[string]bool{}
	err := fs.WalkDir(files, "console", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		address := "/" + name
		if name == "console/index.html" {
			address = "/"
		}
		got := p.ask("GET", address, "")
		if kind := contentTypes[path.Ext(name)]; got.status != 200 || address != "/" && got.header.Get("Content-Type") != kind || got.body == "" {
			t.Errorf("%s: %d %v", address, got.status, got.header)
		}
		if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", address, got.header)
		}
		for _, found := range imported.FindAllStringSubmatch(got.body, -1) {
			if strings.HasPrefix(found[1], "/") {
				asked[found[1]] = true
			} else {
				asked[path.Join(path.Dir(address), found[1])] = true
			}
		}
		return nil
	})
	if err != nil || len(asked) < 5 {
		t.Fatalf("%v, %v", err, asked)
	}
	for address := range asked {
		if got := p.ask("GET", address, ""); got.status != 200 {
			t.Errorf("%s is asked for: %d", address, got.status)
		}
	}
}

func TestClientFiles(t *testing.T) {
	p := open(t, setup{admin: withKey})
	for address, kind := range map[string]string{"/roost.js": "text/javascript; charset=utf-8", "/roost.d.ts": "application/typescript; charset=utf-8"} {
		got := p.ask("GET", address, "", "Origin: https://app.example", "Sec-Fetch-Site: cross-site")
		if got.status != 200 || got.header.Get("Content-Type") != kind || got.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(got.body, "class Roost") {
			t.Errorf("%s: %d %v", address, got.status, got.header)
		}
	}
	if module := p.ask("GET", "/roost.js", "").body; imported.MatchString(module) {
		t.Error("the client has dependencies")
	}
}

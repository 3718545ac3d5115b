package handshake

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestRefusals reads every answer back with net/http's client side.
func TestRefusals(t *testing.T) {
	words := map[string]bool{}
	for _, f := range Refusals() {
		if f.String() == "" || words[f.String()] || strings.ToLower(f.String()) != f.String() {
			t.Errorf("word %q is empty, not lower-case or there twice", f)
		}
		words[f.String()] = true

		whole := f.Append([]byte("x"), 7)[1:]
		br := bufio.NewReader(bytes.NewReader(whole))
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("%v: %v", f, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || br.Buffered() != 0 {
			t.Errorf("%v: body %q, error %v, %d bytes left", f, body, err, br.Buffered())
		}
		if resp.StatusCode != f.Status() || resp.Status == "" || !resp.Close || resp.ContentLength != int64(len(body)) ||
			!strings.HasSuffix(http.StatusText(f.Status()), resp.Status[len("400 "):]) { // net/http calls 414 "Request URI ..."
			t.Errorf("%v: status %q, close %v, length %d of %d", f, resp.Status, resp.Close, resp.ContentLength, len(body))
		}
		if !strings.HasSuffix(string(body), ".\n") || strings.Count(string(body), "\n") != 1 {
			t.Errorf("%v: body %q is no sentence", f, body)
		}
		for header, want := range map[string]string{
			"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store",
			"Allow":                 only(f.Status() == 405, "GET"),
			"Sec-Websocket-Version": only(f.Status() == 426, "13"),
			"Upgrade":               only(f.Status() == 426, "websocket"),
			"Www-Authenticate":      only(f.Status() == 401, "Bearer"),
			"Retry-After":           only(f.Status() == 429 || f.Status() == 503, "7"),
		} {
			if got := resp.Header.Get(header); got != want {
				t.Errorf("%v: %s is %q, want %q", f, header, got, want)
			}
		}
	}
}

func only(when bool, value string) string {
	if when {
		return value
	}
	return ""
}

func TestRefusalStatus(t *testing.T) {
	for f, want := range map[Refusal]int{
		Malformed: 400, NotUpgrade: 400, TwoTokens: 400, Token: 401, Origin: 403, Room: 403, Path: 404, Method: 405,
		TooSlow: 408, URITooLong: 414, Version: 426, AddressLimit: 429, UserLimit: 429, HeadersTooLarge: 431,
		Full: 503, Draining: 503, Rate: 503, AuthBusy: 503, AuthUnavailable: 503, Memory: 503, HTTPVersion: 505,
	} {
		if f.Status() != want {
			t.Errorf("%v is %d, want %d", f, f.Status(), want)
		}
	}
	if len(Refusals()) != int(numRefusals)-1 {
		t.Error("Refusals is not all")
	}
}

func TestRefusalEdges(t *testing.T) {
	if got := Accepted.Append(nil, 1); len(got) != 0 {
		t.Errorf("accepted appends %q", got)
	}
	unknown := Refusal(200)
	if unknown.String() != "malformed" || unknown.Status() != 400 || !bytes.Equal(unknown.Append(nil, 0), Malformed.Append(nil, 0)) {
		t.Error("a value off the list has another answer")
	}
	if got := Full.Append(nil, -5); !bytes.Contains(got, []byte("\r\nRetry-After: 1\r\n")) {
		t.Errorf("no waiting time: %q", got)
	}
}

func TestAppendText(t *testing.T) {
	got := string(AppendText([]byte("x"), 200, "ok\n"))
	want := "xHTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: no-store\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\r\nok\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, status := range []int{404, 503, 299} {
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(AppendText(nil, status, "b"))), nil)
		if err != nil || resp.StatusCode != status || !resp.Close {
			t.Error(status, resp, err)
		}
	}
}

// TestAppendHead: the same status and headers as Append, but for what is about the body, and no body.
func TestAppendHead(t *testing.T) {
	for _, f := range Refusals() {
		whole, _, _ := strings.Cut(string(f.Append(nil, 7)), "\r\n\r\n")
		var want []string
		for line := range strings.SplitSeq(whole, "\r\n") {
			if !strings.HasPrefix(line, "Content-") {
				want = append(want, line)
			}
		}
		got := strings.Split(strings.TrimSuffix(string(f.AppendHead(nil, 7)), "\r\n\r\n"), "\r\n")
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%v: %q, want %q", f, got, want)
		}
	}
}

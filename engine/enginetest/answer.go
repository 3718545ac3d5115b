package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// This file reads HTTP answers more strictly than net/http does, because a balancer in front of the server may.

// maxAnswerHead bounds the head of an answer, in bytes.
const maxAnswerHead = 16 << 10

// Answer is an HTTP answer of the server.
type Answer struct {
	Status int
	// Header has canonical names; a header that came twice has two values.
	Header http.Header
	// Body is empty after a 101.
	Body []byte
	// End says how the connection ended after the body; it is not set after a 101.
	End End
}

// End says how a connection ended, seen from the client.
type End string

// The ways a connection ends.
const (
	// EndFIN is an orderly end: the server closed after all it had written.
	EndFIN End = "fin"
	// EndRST is a reset: what the server had written may be lost.
	EndRST End = "rst"
	// EndLocal is an end that this side chose.
	EndLocal End = "local"
)

// parseAnswer reads the head at the front of b and its length; n is 0 while b is too short.
func parseAnswer(b []byte) (a *Answer, n int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > maxAnswerHead {
			return nil, 0, fmt.Errorf("no end of the answer's head in %d bytes", len(b))
		}
		return nil, 0, nil
	}
	lines := strings.Split(string(b[:end]), "\r\n")
	status, err := parseStatus(lines[0])
	if err != nil {
		return nil, 0, err
	}
	a = &Answer{Status: status, Header: http.Header{}}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t\"(),/;<=>?@[\\]{}") || strings.ContainsAny(line, "\r\n\x00") {
			return nil, 0, fmt.Errorf("malformed header line %q", line)
		}
		a.Header.Add(name, strings.Trim(value, " \t"))
	}
	return a, end + 4, nil
}

// parseStatus reads "HTTP/1.1 101 Switching Protocols" (RFC 9112, section 4): the space after the code is
// due even if the reason is empty.
func parseStatus(line string) (int, error) {
	rest, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	if !ok || len(rest) < 4 || rest[3] != ' ' || strings.ContainsAny(line, "\r\n\x00") {
		return 0, fmt.Errorf("malformed status line %q", line)
	}
	status, err := strconv.Atoi(rest[:3])
	if err != nil || status < 100 {
		return 0, fmt.Errorf("malformed status line %q", line)
	}
	return status, nil
}

// checkBody compares a body that was read to the end of the connection with what the head announced. More
// bytes than announced would be a second answer, which nobody asked for.
func (a *Answer) checkBody() error {
	if a.Header.Get("Transfer-Encoding") != "" {
		return errors.New("refusal with a transfer encoding")
	}
	announced := a.Header.Values("Content-Length")
	if len(announced) == 0 {
		return nil
	}
	if want, err := strconv.Atoi(announced[0]); err != nil || len(announced) > 1 || want != len(a.Body) {
		return fmt.Errorf("content length %q, but %d bytes until the end", announced, len(a.Body))
	}
	return nil
}

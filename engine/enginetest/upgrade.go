package enginetest

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// This file writes upgrade requests and checks the 101 that answers them, RFC 6455 section 4.

// acceptGUID is the constant of RFC 6455, section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// sampleKey is the nonce of RFC 6455's own example. Swarm connections all use it.
const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

// Options says how a client connects and behaves. The zero value is a well-behaved client without a token.
type Options struct {
	// Subprotocols are offered in this order.
	Subprotocols []string
	// Token, if set, is offered as one more subprotocol, "token." + Token.
	Token string
	// Header is sent besides the handshake's own; "Host" replaces the address. An extension offered here
	// may be agreed on, and then RSV1 is allowed on data frames; payloads are handed out as they came.
	Header http.Header
	// SourceIP is the local address, such as 127.0.0.9; empty lets the kernel choose.
	SourceIP string
	// Timeout bounds every single wait; 0 is 5 seconds.
	Timeout time.Duration
	// Early is sent in the same write as the request, behind it.
	Early []byte
	// NoPong leaves pings unanswered, NoCloseReply close frames.
	NoPong, NoCloseReply bool
}

// DefaultTimeout bounds every wait that was not given another bound.
const DefaultTimeout = 5 * time.Second

func (o *Options) timeout() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return DefaultTimeout
}

func (o *Options) offered() []string {
	offered := slices.Clone(o.Subprotocols)
	if o.Token != "" {
		offered = append(offered, "token."+o.Token)
	}
	return offered
}

// UpgradeHead is a whole upgrade request for path with the sample key of RFC 6455, for [Config].Head.
func UpgradeHead(host, path string, o Options) []byte {
	return appendHead(nil, host, path, sampleKey, &o)
}

func appendHead(dst []byte, host, path, key string, o *Options) []byte {
	if h := o.Header.Get("Host"); h != "" {
		host = h
	}
	dst = fmt.Appendf(dst, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n", path, host, key)
	if offered := o.offered(); len(offered) > 0 {
		dst = fmt.Appendf(dst, "Sec-WebSocket-Protocol: %s\r\n", strings.Join(offered, ", "))
	}
	for name, values := range o.Header {
		if http.CanonicalHeaderKey(name) == "Host" {
			continue
		}
		for _, value := range values {
			dst = fmt.Appendf(dst, "%s: %s\r\n", name, value)
		}
	}
	return append(dst, "\r\n"...)
}

func newKey() string {
	var nonce [16]byte
	rand.Read(nonce[:])
	return base64.StdEncoding.EncodeToString(nonce[:])
}

func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + acceptGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// checkUpgrade is RFC 6455, section 4.1: what a client must verify before it takes a 101 for an open connection.
func checkUpgrade(a *Answer, key string, o *Options) error {
	one := func(name string) string {
		if values := a.Header.Values(name); len(values) == 1 {
			return values[0]
		}
		return ""
	}
	switch {
	case !strings.EqualFold(one("Upgrade"), "websocket"):
		return fmt.Errorf("upgrade header %q", a.Header.Values("Upgrade"))
	case !strings.EqualFold(one("Connection"), "upgrade"):
		return fmt.Errorf("connection header %q", a.Header.Values("Connection"))
	case one("Sec-WebSocket-Accept") != acceptOf(key):
		return fmt.Errorf("accept %q, want %q", a.Header.Values("Sec-WebSocket-Accept"), acceptOf(key))
	case a.Header.Get("Content-Length") != "" || a.Header.Get("Transfer-Encoding") != "":
		return errors.New("101 announces a body")
	}
	if chosen := a.Header.Values("Sec-WebSocket-Protocol"); len(chosen) > 1 ||
		len(chosen) == 1 && !slices.Contains(o.offered(), chosen[0]) {
		return fmt.Errorf("subprotocol %q was not offered", chosen)
	}
	if agreed := a.Header.Get("Sec-WebSocket-Extensions"); agreed != "" {
		name, _, _ := strings.Cut(agreed, ";")
		if !strings.Contains(o.Header.Get("Sec-WebSocket-Extensions"), strings.TrimSpace(name)) {
			return fmt.Errorf("extension %q was not offered", agreed)
		}
	}
	return nil
}

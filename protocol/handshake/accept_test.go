package handshake

import "testing"

func TestAppendSwitching(t *testing.T) {
	// The key and the accept value of RFC 6455 section 1.3.
	const start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	for _, c := range []struct{ name, subprotocol, extensions, want string }{
		{"bare", "", "", start + "\r\n"},
		{"subprotocol", "roost.v1", "", start + "Sec-WebSocket-Protocol: roost.v1\r\n\r\n"},
		{"extensions", "", "permessage-deflate", start + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"},
		{"both", "a", "b", start + "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Extensions: b\r\n\r\n"},
	} {
		got := AppendSwitching([]byte("before"), []byte(key), []byte(c.subprotocol), []byte(c.extensions))
		if string(got) != "before"+c.want {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, "before"+c.want)
		}
	}
}

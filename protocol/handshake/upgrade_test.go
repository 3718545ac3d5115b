package handshake

import (
	"strings"
	"testing"
)

func TestCheckUpgrade(t *testing.T) {
	// with replaces one of upgradeHeaders by other lines.
	with := func(header, lines string) string {
		head := get("/ws")
		from := strings.Index(head, header+":")
		to := from + strings.Index(head[from:], "\r\n") + len("\r\n")
		return head[:from] + lines + head[to:]
	}
	version := func(lines string) string { return with("Sec-WebSocket-Version", lines) }
	secKey := func(lines string) string { return with("Sec-WebSocket-Key", lines) }
	runRows(t, []row{
		{"good", get("/ws"), Accepted},
		{"names in lower case", strings.NewReplacer("Host:", "host:", "Upgrade:", "upgrade:", "Connection:", "connection:",
			"Sec-WebSocket-", "sec-websocket-", "Key:", "key:", "Version:", "version:").Replace(get("/ws")), Accepted},
		{"names in upper case", strings.NewReplacer("Host:", "HOST:", "Upgrade:", "UPGRADE:", "Connection:", "CONNECTION:",
			"Sec-WebSocket-", "SEC-WEBSOCKET-", "Key:", "KEY:", "Version:", "VERSION:").Replace(get("/ws")), Accepted},

		{"A7 version 12", version("Sec-WebSocket-Version: 12\r\n"), Version},
		{"A7 version 8", version("Sec-WebSocket-Version: 8\r\n"), Version},
		{"A7 version 013", version("Sec-WebSocket-Version: 013\r\n"), Version},
		{"A7 list", version("Sec-WebSocket-Version: 13,12\r\n"), Version},
		{"A7 two lines", version("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 12\r\n"), Version},
		{"A7 two equal lines", version("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n"), Version},
		{"A7 space behind", version("Sec-WebSocket-Version: 13 \r\n"), Version},
		{"A7 tab behind", version("Sec-WebSocket-Version: 13\t\r\n"), Version},
		{"A7 empty", version("Sec-WebSocket-Version:\r\n"), Version},
		{"A7 absent", version(""), Malformed},
		{"A7 name in lower case", version("sec-websocket-version:13\r\n"), Accepted},

		{"A15 no key", secKey(""), Malformed},
		{"A15 two keys", secKey("Sec-WebSocket-Key: " + key + "\r\nSec-WebSocket-Key: " + key + "\r\n"), Malformed},
		{"A15 23 letters", secKey("Sec-WebSocket-Key: " + key[1:] + "\r\n"), Malformed},
		{"A15 25 letters", secKey("Sec-WebSocket-Key: A" + key + "\r\n"), Malformed},
		{"A15 not base64", secKey("Sec-WebSocket-Key: dGhlIHNhbXBsZS!ub25jZQ==\r\n"), Malformed},
		{"A15 URL alphabet", secKey("Sec-WebSocket-Key: dGhlIHNhbXBsZS-ub25jZQ==\r\n"), Malformed},
		{"A15 15 bytes", secKey("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA====\r\n"), Malformed},
		{"A15 17 bytes", secKey("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n"), Malformed},
		{"A15 18 bytes", secKey("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA\r\n"), Malformed},
		{"A15 bits behind the last byte", secKey("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n"), Malformed},
		{"A15 empty", secKey("Sec-WebSocket-Key:\r\n"), Malformed},

		{"no Upgrade", with("Upgrade", ""), NotUpgrade},
		{"Upgrade h2c", with("Upgrade", "Upgrade: h2c\r\n"), NotUpgrade},
		{"Upgrade in any case", with("Upgrade", "UPGRADE: WebSocket\r\n"), Accepted},
		{"Upgrade as a list", with("Upgrade", "Upgrade: HTTP/2.0, websocket\r\n"), Accepted},
		{"Upgrade with a version", with("Upgrade", "Upgrade: websocket/13\r\n"), NotUpgrade},
		{"Upgrade that is no list", with("Upgrade", "Upgrade: websocket h2c\r\n"), NotUpgrade},
		{"second Upgrade h2c", get("/ws", "Upgrade: h2c\r\n"), NotUpgrade},
		{"second Upgrade websocket", get("/ws", "Upgrade: websocket\r\n"), NotUpgrade},

		{"no Connection", with("Connection", ""), NotUpgrade},
		{"Connection keep-alive", with("Connection", "Connection: keep-alive\r\n"), NotUpgrade},
		{"Connection as Firefox has it", with("Connection", "Connection: keep-alive, Upgrade\r\n"), Accepted},
		{"Connection in two lines", with("Connection", "Connection: keep-alive\r\nConnection: uPgRaDe\r\n"), Accepted},
		{"Connection with empty elements", with("Connection", "Connection: ,, upgrade ,\r\n"), Accepted},
		{"Connection is a longer word", with("Connection", "Connection: upgraded\r\n"), NotUpgrade},
		{"Connection is no list", with("Connection", "Connection: keep-alive Upgrade\r\n"), NotUpgrade},
		{"Connection quoted", with("Connection", "Connection: \"upgrade\"\r\n"), NotUpgrade},
		{"one Connection line is no list", get("/ws", "Connection: a b\r\n"), NotUpgrade},
	})
}

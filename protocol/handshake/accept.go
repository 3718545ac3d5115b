// The answer that opens a connection: 101 Switching Protocols (RFC 6455 section 4.2.2).

package handshake

import (
	"crypto/sha1"
	"encoding/base64"
)

const (
	keyBytes   = 24 // of Sec-WebSocket-Key: 16 bytes in base64
	acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

	switchingHead = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)

// AppendSwitching appends the whole 101 to dst. The key is one that [Request.CheckUpgrade] accepted, the
// subprotocol an [Offer]'s Echo, extensions what was negotiated; an empty one is left out. None is checked here,
// so text of any other origin must not come in. It allocates only if dst is too small, and keeps nothing.
func AppendSwitching(dst, key, subprotocol, extensions []byte) []byte {
	var seed [keyBytes + len(acceptGUID)]byte
	copy(seed[:keyBytes], key)
	copy(seed[keyBytes:], acceptGUID)
	sum := sha1.Sum(seed[:])

	dst = append(dst, switchingHead...)
	dst = base64.StdEncoding.AppendEncode(dst, sum[:])
	if len(subprotocol) > 0 {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "...)
		dst = append(dst, subprotocol...)
	}
	if len(extensions) > 0 {
		dst = append(dst, "\r\nSec-WebSocket-Extensions: "...)
		dst = append(dst, extensions...)
	}
	return append(dst, "\r\n\r\n"...)
}

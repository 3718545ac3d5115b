package reactor

// The client's half of the opening handshake, RFC 6455 section 4.1: what it asks.

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"

	"github.com/roost-ws/roost/bench"
)

// acceptGUID is what section 1.3 puts behind the key.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const (
	keySize    = 24 // base64 of 16 bytes
	acceptSize = 28 // base64 of a SHA-1
)

// request builds upgrade requests.
type request struct {
	path, host   template
	headers      []template
	subprotocols []template
}

func newRequest(target *bench.Target) request {
	return request{path: parseTemplate(target.Path), host: parseTemplate(target.Host),
		headers: parseTemplates(target.Headers), subprotocols: parseTemplates(target.Subprotocols)}
}

// append appends the request of connection i to address with key.
func (r *request) append(dst []byte, n *names, i int, address string, key []byte) []byte {
	dst = append(dst, "GET "...)
	dst = n.expand(dst, r.path, i, nil)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	if len(r.host) > 0 {
		dst = n.expand(dst, r.host, i, nil)
	} else {
		dst = append(dst, address...)
	}
	dst = append(dst, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "...)
	dst = append(dst, key...)
	if len(r.subprotocols) > 0 {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "...)
		dst = r.appendOffer(dst, n, i)
	}
	for _, h := range r.headers {
		dst = append(dst, "\r\n"...)
		dst = n.expand(dst, h, i, nil)
	}
	return append(dst, "\r\n\r\n"...)
}

// appendOffer appends the subprotocols of connection i, as they stand in the header.
func (r *request) appendOffer(dst []byte, n *names, i int) []byte {
	for k, s := range r.subprotocols {
		if k > 0 {
			dst = append(dst, ", "...)
		}
		dst = n.expand(dst, s, i, nil)
	}
	return dst
}

// appendKey appends a Sec-WebSocket-Key that nobody can guess who does not know seed. The same seed and turn give
// the same key, so that it need not be kept until the answer is there.
func appendKey(dst []byte, seed, turn uint64) []byte {
	var raw [16]byte
	binary.LittleEndian.PutUint64(raw[:], scatter(seed^turn))
	binary.LittleEndian.PutUint64(raw[8:], scatter(seed+scatter(turn)))
	return base64.StdEncoding.AppendEncode(dst, raw[:])
}

// scatter is the finalizer of SplitMix64: every bit of x changes half of the result.
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// appendAccept appends what a server has to answer to key.
func appendAccept(dst, key []byte) []byte {
	var joined [keySize + len(acceptGUID)]byte
	sum := sha1.Sum(append(append(joined[:0], key...), acceptGUID...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

package frame

// Close bodies, RFC 6455 sections 5.5.1 and 7.4.

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Codes which the IANA registry has added to those of the RFC. roost itself sends 1013, so its own readers have
// to take it.
const (
	statusServiceRestart ws.StatusCode = 1012
	statusTryAgainLater  ws.StatusCode = 1013
	statusBadGateway     ws.StatusCode = 1014
)

// ValidCloseCode reports whether code may stand in a close frame: the codes of section 7.4.1 but those that are
// only for local use (1005, 1006, 1015), the registered 1012 to 1014, and 3000 to 4999; section 7.4.2 defines no
// others.
func ValidCloseCode(code ws.StatusCode) bool {
	switch code {
	case statusServiceRestart, statusTryAgainLater, statusBadGateway:
		return true
	}
	return code < 5000 && ws.CheckCloseFrameData(code, "") == nil
}

// parseClose takes a close body apart. An empty one has the code ws.StatusNoStatusRcvd (section 7.1.5). The
// reason points into p.
func parseClose(p []byte) (code ws.StatusCode, reason []byte, e Error) {
	if len(p) == 0 {
		return ws.StatusNoStatusRcvd, nil, 0
	}
	if len(p) == 1 {
		return 0, nil, ErrBadClose
	}
	code, reason = ws.StatusCode(binary.BigEndian.Uint16(p)), p[2:]
	if !ValidCloseCode(code) {
		return 0, nil, ErrBadClose
	}
	if !utf8.Valid(reason) {
		return 0, nil, ErrInvalidUTF8
	}
	return code, reason, 0
}

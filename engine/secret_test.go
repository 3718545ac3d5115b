package engine

// That no token ever shows where it should not.

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
)

// TestTokensStaySecret walks recognisable tokens through every refusal and looks for them in logs, figures and
// answers (F23).
func TestTokensStaySecret(t *testing.T) {
	t.Parallel()
	const mark = "CANARYcanaryCANARY"
	var log safeBuffer
	keys := newSigner(t)
	var figures bytes.Buffer
	var answers strings.Builder
	secret := map[string]bool{mark: true, base64.RawURLEncoding.EncodeToString([]byte(mark))[:20]: true}
	remember := func(token string) string {
		for part := range strings.SplitSeq(token, ".") {
			if len(part) >= 16 {
				secret[part] = true
			}
		}
		return token
	}
	claims := func(exp time.Duration, rooms string) string {
		return remember(enginetest.TokenClaims(t, map[string]any{"sub": "ada", "exp": time.Now().Add(exp).Unix(), "rooms": []string{rooms}, "jti": mark}))
	}
	tokens := []string{mark, remember("eyJhbGciOiJIUzI1NiJ9." + mark + "." + mark), claims(-time.Hour, "**"),
		claims(time.Hour, "nowhere"), remember(keys.token(t, mark)[:80]), remember(strings.Repeat(mark, 400)),
		remember(strings.Repeat(mark, 600))}
	for _, byClose := range []bool{false, true} {
		s, addr := serve(t, func(o *Options) {
			verifying(t, o, func(a *auth.Options) { a.PublicKeys = keys.public })
			o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			o.QueryToken, o.RefuseByClose = true, byClose
			o.Limits.ConnectionsPerUser, o.Limits.HandshakeTimeout = 1, 500*time.Millisecond
		})
		var endless []*enginetest.Client
		for _, token := range tokens {
			c := enginetest.DialRaw(t, addr, enginetest.Options{})
			c.SendRaw([]byte(strings.TrimSuffix(targeting("/ws?token="+token), "\r\n")))
			endless = append(endless, c)
			for _, head := range []string{
				with("Sec-WebSocket-Protocol: roost.v1, token." + token + "\r\n"),
				with("Sec-WebSocket-Protocol: roost.v1, token." + token + ", token.x\r\n"),
				with("Authorization: Bearer " + token + "\r\n"),
				with("Authorization: Bearer " + token + "\r\nSec-WebSocket-Version: 12\r\n"),
				with("Authorization: Bearer " + token + "\x00\r\n"),
				with("Authorization: Bearer " + token + "\r\nOrigin: https://" + mark + ".example\r\n"),
				targeting("/ws?room=a&token=" + token),
				targeting("/ws?token=" + token + "&token=" + token),
				targeting("/nowhere?token=" + token),
				targeting("/raw/a/b?token=" + token),
				strings.Replace(targeting("/ws?token="+token), "GET", "POST", 1),
			} {
				c := enginetest.DialRaw(t, addr, enginetest.Options{})
				c.SendRaw([]byte(head))
				answers.Write(readToEnd(c))
			}
		}
		for _, c := range endless {
			answers.Write(readToEnd(c))
		}
		good := claims(time.Hour, "**")
		c := dialV1(t, addr, "/ws?room=a", v1As(good))
		twice := enginetest.DialRaw(t, addr, enginetest.Options{})
		twice.SendRaw([]byte(with("Authorization: Bearer " + good + "\r\n")))
		answers.Write(readToEnd(twice))
		for _, token := range tokens[:3] {
			c.SendText(`{"type":"refresh","token":"` + token + `"}`)
			answers.WriteString(fmt.Sprint(c.ExpectType("error")))
		}
		s.WriteMetrics(&figures)
		_ = s.Stop()
	}
	for where, text := range map[string]string{"the log": log.String(), "the figures": figures.String(), "an answer": answers.String()} {
		for part := range secret {
			if at := strings.Index(text, part); at >= 0 {
				t.Errorf("%.20s... is in %s: %.200q", part, where, text[max(0, at-80):])
			}
		}
	}
	if answers.Len() < 1000 || figures.Len() < 1000 {
		t.Error("nothing was answered or counted")
	}
}

// safeBuffer collects what several goroutines write.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// readToEnd reads whatever comes until the end of the connection, its close frame, or its welcome.
func readToEnd(c *enginetest.Client) []byte {
	_ = c.NetConn().SetReadDeadline(time.Now().Add(patience))
	var all []byte
	buf := make([]byte, 4096)
	for {
		n, err := c.NetConn().Read(buf)
		all = append(all, buf[:n]...)
		if err != nil || bytes.Contains(all, []byte(" 101 ")) && (bytes.Contains(all, []byte("\x88")) || bytes.Contains(all, []byte("welcome"))) {
			c.Close()
			return all
		}
	}
}

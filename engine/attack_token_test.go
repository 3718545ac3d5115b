package engine

// Tokens beyond those of auth_test.go and refresh_test.go: headers that want more than to name a key, one token for
// many, refreshes by force, and a wall clock that jumps.

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
)

// signedUnder is a token with a header of one's own, signed with the secret of enginetest's tokens: its signature is
// good, so that whatever it is refused for is not that.
func signedUnder(header string) string {
	claims := fmt.Sprintf(`{"sub":"ada","exp":%d,"rooms":["**"],"jti":%q}`, time.Now().Add(time.Hour).Unix(), canary)
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(claims))
	sum := hmac.New(sha256.New, []byte(enginetest.Secret))
	sum.Write([]byte(text))
	return text + "." + encode(sum.Sum(nil))
}

// TestForgedHeaders: a token's header names an algorithm and perhaps a key. It opens no file, asks no server, and
// brings no key along (F6, F7, F12).
func TestForgedHeaders(t *testing.T) {
	var asked atomic.Int64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			c.Close()
		}
	}()
	there := "http://" + listener.Addr().String() + "/" + canary
	keys := newSigner(t)
	g := besiege(t, func(o *Options) { verifying(t, o, func(a *auth.Options) { a.PublicKeys = keys.public }) },
		enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")})
	for _, tc := range []struct {
		name, header string
		reason       string // "": let in, since the header's word is not listened to
	}{
		{"F6 kid is a path", `{"alg":"HS256","kid":"../../../../dev/null"}`, ""},
		{"F6 kid is a query", `{"alg":"HS256","kid":"x' UNION SELECT 'key"}`, ""},
		{"F6 kid has line ends", `{"alg":"HS256","kid":"a\r\n` + canary + `: b"}`, ""},
		{"F6 kid has a NUL", `{"alg":"HS256","kid":"a\u0000b"}`, ""},
		{"F6 kid is a URL", `{"alg":"HS256","kid":"` + there + `"}`, ""},
		{"F6 kid of 4 KiB", `{"alg":"HS256","kid":"` + strings.Repeat("k", 4<<10) + `"}`, ""},
		{"F6 kid is a number", `{"alg":"HS256","kid":7}`, ""},
		{"F6 kid is a list", `{"alg":"HS256","kid":["a"]}`, ""},
		{"F7 jku", `{"alg":"HS256","jku":"` + there + `"}`, ""},
		{"F7 jku and x5u", `{"alg":"ES256","jku":"` + there + `","x5u":"` + there + `"}`, "signature"},
		{"F7 jwk", `{"alg":"ES256","jwk":{"kty":"oct","k":"AAAA"}}`, "signature"},
		{"F7 jwk and the secret's algorithm", `{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}`, ""},
		{"F7 x5c", `{"alg":"ES256","x5c":["` + canary + `"]}`, "signature"},
		{"F7 crit", `{"alg":"HS256","crit":["exp"],"exp":1}`, "critical"},
		{"F7 b64", `{"alg":"HS256","b64":false,"crit":["b64"]}`, "critical"},
		{"F7 compressed", `{"alg":"HS256","zip":"DEF"}`, ""},
		{"F7 encrypted", `{"alg":"dir","enc":"A256GCM"}`, "algorithm"},
	} {
		grown := once("roost_handshakes_total")
		if tc.reason != "" {
			grown = once(refusedSeries("token"), tokenSeries(tc.reason))
		}
		g.attack(t, tc.name, grown, func(t *testing.T) {
			o := v1As(signedUnder(tc.header))
			if tc.reason == "" {
				dialV1(t, g.addr, "/ws", o).CloseHandshake(1000)
				return
			}
			c := enginetest.DialRaw(t, g.addr, o)
			defer c.Close()
			c.SendRaw(enginetest.UpgradeHead(g.addr, "/ws", o))
			a := c.ReadHTTP()
			if a.Status != 401 {
				t.Errorf("status %d", a.Status)
			}
			mustNotTell(t, "the answer", fmt.Sprint(a.Header, string(a.Body)))
		})
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the address in a token's header was called %d times", n)
	}
	g.end()
}

// TestOneTokenManySockets: a token is not used up, and its user has no more connections for it than for several
// (F19).
func TestOneTokenManySockets(t *testing.T) {
	const most = 50
	g := besiege(t, func(o *Options) {
		verifying(t, o, func(a *auth.Options) { a.CacheEntries = 1000 })
		o.Limits.ConnectionsPerUser = most
	}, enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")})
	one := enginetest.TokenClaims(t, map[string]any{"sub": "ada", "exp": time.Now().Add(time.Hour).Unix(), "rooms": []string{"**"}, "jti": canary})
	g.attack(t, "fifty and more", counts{"roost_handshakes_total": most, refusedSeries("user_limit"): 20}, func(t *testing.T) {
		var held []*enginetest.Client
		for range most {
			held = append(held, dialV1(t, g.addr, "/ws", v1As(one)))
		}
		for range 20 {
			c := enginetest.DialRaw(t, g.addr, v1As(one))
			c.SendRaw(enginetest.UpgradeHead(g.addr, "/ws", v1As(one)))
			if a := c.ReadHTTP(); a.Status != 429 {
				t.Errorf("status %d", a.Status)
			}
			c.Close()
		}
		for _, c := range held {
			c.Reset()
		}
		settles(t, g.server, 1, "roost_connections")
	})
	g.end()
}

// TestBadRefreshes: checking tokens costs time, and who keeps sending bad ones is closed (F17).
func TestBadRefreshes(t *testing.T) {
	const faults = 5
	keys := newSigner(t)
	g := besiege(t, func(o *Options) {
		verifying(t, o, func(a *auth.Options) { a.PublicKeys = keys.public })
		o.Limits.Controls, o.Limits.Faults = ratelimit.Rate{}, ratelimit.NewRate(0.01, faults)
	}, enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")})
	good := enginetest.Token(t, "ada", time.Hour, "**")
	bad := keys.token(t, "ada")
	for name, token := range map[string]string{"no token": canary, "through the pool": bad[:len(bad)-4] + "AAAA", "ended": enginetest.Token(t, "ada", -time.Hour, "**")} {
		g.attack(t, name, counts{errorSeries("forbidden"): faults + 1}, func(t *testing.T) {
			c := dialV1(t, g.addr, "/ws", v1As(good))
			for range faults + 1 {
				c.SendText(`{"type":"refresh","id":1,"token":"` + token + `"}`)
				c.ExpectType("error")
			}
			f := c.ReadFrame()
			if f.CloseCode() != 1008 {
				t.Errorf("%d bad tokens: opcode %d %q", faults+1, f.Op, f.Payload)
			}
			c.Close()
		})
	}
	g.end()
}

// TestWallClockJumps: deadlines go by a clock that does not jump; of the wall clock only tokens hear (F22).
func TestWallClockJumps(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	g := besiege(t, func(o *Options) {
		verifying(t, o, func(a *auth.Options) { a.Now = clock })
		o.Wall = clock
		o.Heartbeat, o.HeartbeatTimeout = 200*time.Millisecond, 200*time.Millisecond
		o.Limits.HandshakeTimeout = 10 * time.Second
	}, enginetest.Options{Token: enginetest.Token(t, "eve", 24*time.Hour, "**"), Header: http.Header{}})
	ended := counts{closedSeries("no_pong"): 0, closedSeries("token_expired"): 0, closedSeries("handshake_timeout"): 0, closedSeries("slow_message"): 0}
	long := dialV1(t, g.addr, "/ws?room=a", v1As(enginetest.Token(t, "ada", 24*time.Hour, "**")))
	begun := enrolled(t, g.server, g.addr, enginetest.Options{})
	begun.SendRaw([]byte(goodHead[:40]))
	for _, jump := range []time.Duration{time.Hour, -time.Hour, -24 * time.Hour * 365, 0} {
		g.attack(t, fmt.Sprint(jump), ended, func(t *testing.T) {
			ahead.Store(int64(jump))
			beats := scrape(g.server)["roost_pings_total"]
			for scrape(g.server)["roost_pings_total"] < beats+2 {
				long.SendText(`{"type":"publish","room":"a","data":1}`)
				long.ExpectType("message")
				g.other.mustBeServed()
				time.Sleep(20 * time.Millisecond) // the pace of a conversation
			}
		})
	}
	// A jump beyond its end is the end of a token, and of nothing else.
	g.attack(t, "beyond the token's end", nil, func(t *testing.T) {
		short := dialV1(t, g.addr, "/ws", v1As(enginetest.Token(t, "ada", time.Hour, "**")))
		ahead.Store(int64(2 * time.Hour))
		short.ExpectClose(4401)
		short.Close()
	})
	begun.Reset()
	long.Reset()
	g.end()
}

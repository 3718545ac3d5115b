package engine

// Tokens in handshakes on real sockets: who is let in, and what everybody else is answered.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
)

type signer struct {
	public []byte
	mint   auth.Mint
}

func newSigner(t testing.TB) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{
		public: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		mint:   auth.Mint{PrivateKeyPEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})},
	}
}

// token is one for an hour in all rooms.
func (k *signer) token(t testing.TB, user string) string {
	t.Helper()
	token, err := k.mint.Token(auth.Claims{User: user, Rooms: []string{"**"}, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestTokens is what each token and each way to send it is answered.
func TestTokens(t *testing.T) {
	keys := newSigner(t)
	s, addr := serve(t, func(o *Options) {
		verifying(t, o, func(a *auth.Options) {
			a.PublicKeys, a.Issuer, a.Audience, a.Leeway = keys.public, "roost", "chat", 20*time.Second
		})
	})
	now := time.Now().Unix()
	claims := func(changes map[string]any) map[string]any {
		all := map[string]any{"sub": "ada", "exp": now + 3600, "iss": "roost", "aud": "chat", "rooms": []string{"**"}}
		for name, value := range changes {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		return all
	}
	hs := func(changes map[string]any) string { return enginetest.TokenClaims(t, claims(changes)) }
	es, err := keys.mint.Token(auth.Claims{User: "ada", Rooms: []string{"**"}, Issuer: "roost", Audience: "chat", ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	good := hs(nil)
	cut := strings.LastIndexByte(good, '.')
	segment := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	none := segment(`{"alg":"none"}`) + good[strings.IndexByte(good, '.'):cut] + "."
	mine := func(o enginetest.Options) enginetest.Options { o.Subprotocols = []string{"roost.v1"}; return o }
	bearer := func(token string) enginetest.Options {
		return mine(enginetest.Options{Header: http.Header{"Authorization": {"Bearer " + token}}})
	}
	other := newBystander(t, addr, enginetest.Options{Token: good})
	for _, tc := range []struct {
		name   string
		path   string
		offer  enginetest.Options
		status int    // 101 = let in
		reason string // of the token; "" if the refusal is not about what it says
	}{
		{"good", "/ws", v1As(good), 101, ""},
		{"good, alone", "/ws", enginetest.Options{Token: good}, 101, ""},
		{"good, as a bearer", "/ws", bearer(good), 101, ""},
		{"good, in lower case", "/ws", mine(enginetest.Options{Header: http.Header{"Authorization": {"bearer " + good}}}), 101, ""},
		{"good, signed with ES256", "/ws", v1As(es), 101, ""},
		{"good, among other subprotocols", "/ws", enginetest.Options{Subprotocols: []string{"mqtt", "roost.v1"}, Token: good}, 101, ""},
		{"good, for a room", "/raw/a", enginetest.Options{Token: good}, 101, ""},
		{"ended within the leeway", "/ws", v1As(hs(map[string]any{"exp": now})), 101, ""},
		{"F1 none", "/ws", v1, 401, ""},
		{"F1 empty", "/ws", enginetest.Options{Subprotocols: []string{"roost.v1", "token."}}, 401, ""},
		{"F1 in the query", "/ws?token=" + good, v1, 401, ""},
		{"F1 two subprotocols", "/ws", enginetest.Options{Subprotocols: []string{"roost.v1", "token." + good}, Token: es}, 400, ""},
		{"F1 subprotocol and bearer", "/ws", enginetest.Options{Token: good, Header: http.Header{"Authorization": {"Bearer " + good}}}, 400, ""},
		{"F1 two headers", "/ws", mine(enginetest.Options{Header: http.Header{"Authorization": {"Bearer " + good, "Bearer " + good}}}), 400, ""},
		{"another scheme", "/ws", mine(enginetest.Options{Header: http.Header{"Authorization": {"Basic YTpi"}}}), 401, ""},
		{"F2 alg none", "/ws", v1As(none), 401, "algorithm"},
		{"F2 empty signature", "/ws", v1As(good[:cut+1]), 401, "signature"},
		{"F2 another signature", "/ws", v1As(good[:cut+1] + strings.Repeat("A", len(good)-cut-1)), 401, "signature"},
		{"F3 ended", "/ws", v1As(hs(map[string]any{"exp": now - 60})), 401, "expired"},
		{"F3 not yet", "/ws", v1As(hs(map[string]any{"nbf": now + 60})), 401, "not_yet_valid"},
		{"F3 issued in the future", "/ws", v1As(hs(map[string]any{"iat": now + 60})), 401, "not_yet_valid"},
		{"F3 without end", "/ws", v1As(hs(map[string]any{"exp": nil})), 401, "no_expiry"},
		{"F3 end as text", "/ws", v1As(hs(map[string]any{"exp": "tomorrow"})), 401, "bad_time"},
		{"F3 end beyond measure", "/ws", v1As(hs(map[string]any{"exp": 1e300})), 401, "bad_time"},
		{"F3 negative end", "/ws", v1As(hs(map[string]any{"exp": -1})), 401, "bad_time"},
		{"F3 another issuer", "/ws", v1As(hs(map[string]any{"iss": "evil"})), 401, "issuer"},
		{"F3 no issuer", "/ws", v1As(hs(map[string]any{"iss": nil})), 401, "issuer"},
		{"F3 another audience", "/ws", v1As(hs(map[string]any{"aud": "mail"})), 401, "audience"},
		{"F3 no user", "/ws", v1As(hs(map[string]any{"sub": nil})), 401, "no_user"},
		{"F3 bad rooms", "/ws", v1As(hs(map[string]any{"rooms": []string{"a b"}})), 401, "bad_rooms"},
		{"F4 the public key as a secret", "/ws", v1As(forged(t, keys.public, claims(nil))), 401, "signature"},
		{"F5 ES256 with zeros", "/ws", v1As(es[:strings.LastIndexByte(es, '.')+1] + strings.Repeat("A", 86)), 401, "signature"},
		{"F8 two parts", "/ws", v1As(good[:cut]), 401, "malformed"},
		{"F8 four parts", "/ws", v1As(good + ".e30"), 401, "malformed"},
		{"F8 dots", "/ws", v1As(strings.Repeat(".", 4000)), 401, "malformed"},
		{"F8 more than 8 KiB in a line", "/ws", v1As(strings.Repeat("a", 9<<10)), 431, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := scrape(s)
			if tc.status == 101 {
				c := enginetest.Dial(t, addr, tc.path, tc.offer)
				want := c.Subprotocol
				if tc.offer.Subprotocols != nil {
					want = "roost.v1"
				} else if tc.offer.Token != "" {
					want = "token." + tc.offer.Token
					grew(t, s, before, 1, "roost_tokens_echoed_total")
				}
				if c.Subprotocol != want {
					t.Errorf("subprotocol %q, want %q", c.Subprotocol, want)
				}
				c.CloseHandshake(1000)
				return
			}
			a := enginetest.DialRefused(t, addr, tc.path, tc.offer, tc.status)
			if tc.status == 401 {
				if a.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("401 without a challenge: %v", a.Header)
				}
				grew(t, s, before, 1, refusedSeries("token"))
			}
			if tc.status == 400 {
				grew(t, s, before, 1, closedSeries("refused"))
			}
			if tc.reason != "" {
				grew(t, s, before, 1, tokenSeries(tc.reason))
			}
			other.mustBeServed()
		})
	}
	other.client.Close()
	mustBeEmpty(t, s)
}

// forged signs claims with HS256 under a key that is none of the server's secrets.
func forged(t testing.TB, key []byte, claims map[string]any) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := hmac.New(sha256.New, key)
	sum.Write([]byte(token))
	return token + "." + base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

// TestQueryToken: the parameter counts where it is switched on, and then as one more token.
func TestQueryToken(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, nil); o.QueryToken = true })
	good := enginetest.Token(t, "ada", time.Hour, "**")
	before := scrape(s)
	dialV1(t, addr, "/ws?token="+good, v1)
	enginetest.DialRefused(t, addr, "/ws?token="+good, v1As(good), 400)
	enginetest.DialRefused(t, addr, "/ws?token=", v1, 401)
	enginetest.DialRefused(t, addr, "/ws?token=a&token=b", v1, 400)
	grew(t, s, before, 1, refusedSeries("two_tokens"))
	grew(t, s, before, 1, refusedSeries("token"))
}

// TestRefuseByClose: a browser can see why only if it is let in first.
func TestRefuseByClose(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, nil); o.RefuseByClose = true })
	other := newBystander(t, addr, enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")})
	before := scrape(s)
	for _, o := range []enginetest.Options{v1, v1As("nonsense"), v1As(enginetest.Token(t, "ada", -time.Hour, "**"))} {
		o.Early = enginetest.TextFrame([]byte(`{"type":"ping","id":1}`))
		c := enginetest.Dial(t, addr, "/ws", o)
		if f := c.ReadFrame(); f.CloseCode() != 4401 || f.CloseReason() == "" {
			t.Errorf("opcode %d %q", f.Op, f.Payload)
		}
		c.ExpectEOF()
	}
	grew(t, s, before, 3, refusedSeries("token"))
	grew(t, s, before, 3, closedSeries("token_refused"))
	// What a browser can't cure with a new token is refused as ever.
	enginetest.DialRefused(t, addr, "/nowhere", v1, 404)
	enginetest.DialRefused(t, addr, "/ws?room=a", v1As(enginetest.Token(t, "ada", time.Hour, "b")), 403)
	grew(t, s, before, 1, refusedSeries("room"))
	other.mustBeServed()
}

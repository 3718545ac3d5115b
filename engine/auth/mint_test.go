package auth

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

func quoteJSON(t testing.TB, text string) string {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}

var minted = Claims{User: "alice", Rooms: []string{"chat.*"}, RoomsRead: []string{"news"}, Issuer: "i", Audience: "a",
	ExpiresAt: now.Add(time.Hour), NotBefore: now.Add(-time.Minute)}

func TestMintedTokensAreAccepted(t *testing.T) {
	k := keys()
	ecDER, err := x509.MarshalECPrivateKey(k.p256)
	if err != nil {
		t.Fatal(err)
	}
	ecFile := join([]byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: ecDER}))
	rsaFile := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k.rsa)})
	for name, c := range map[string]struct {
		mint      Mint
		algorithm string
	}{
		"secret":           {Mint{HMACSecret: testSecret}, "HS256"},
		"secret, HS512":    {Mint{HMACSecret: testSecret, Algorithm: "HS512"}, "HS512"},
		"RSA":              {Mint{PrivateKeyPEM: privatePEM(t, k.rsa)}, "RS256"},
		"RSA in PKCS 1":    {Mint{PrivateKeyPEM: rsaFile, Algorithm: "PS256"}, "PS256"},
		"P-256":            {Mint{PrivateKeyPEM: privatePEM(t, k.p256)}, "ES256"},
		"P-256 of openssl": {Mint{PrivateKeyPEM: ecFile}, "ES256"},
		"Ed25519":          {Mint{PrivateKeyPEM: privatePEM(t, k.ed)}, "EdDSA"},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := c.mint.Token(minted)
			if err != nil {
				t.Fatal(err)
			}
			v := newVerifier(t, Options{
				HMACSecret: testSecret, PublicKeys: join(publicPEM(t, k.rsa), publicPEM(t, k.p256), publicPEM(t, k.ed)),
				Algorithms: []string{c.algorithm}, Issuer: "i", Audience: "a",
			})
			identity, err := v.Verify([]byte(token))
			if err != nil || identity.User != "alice" || identity.Expires != minted.ExpiresAt.Unix() {
				t.Fatalf("%+v, %v", identity, err)
			}
			if !identity.Rights.CanPublishString("chat.a") || !identity.Rights.CanJoinString("news") || identity.Rights.CanPublishString("news") {
				t.Error("the rooms are not those that were asked for")
			}
		})
	}
}

// TestMintNames: kid, sid and jti are there if they were asked for, and not otherwise.
func TestMintNames(t *testing.T) {
	k := keys()
	v := newVerifier(t, Options{KeySet: settled(t, jwk(t, k.p256, kid("1")))})
	for _, id := range []string{"1", ""} {
		claims := minted
		claims.Session, claims.ID = id, id
		token, err := Mint{PrivateKeyPEM: privatePEM(t, k.p256), KeyID: id}.Token(claims)
		if err != nil {
			t.Fatal(err)
		}
		who := mustBe(t, v, []byte(token), 0).Identity
		if who.Session != MarkOf(RevokedSession, id) || who.Token != MarkOf(RevokedToken, id) || (who.Session != 0) != (id != "") {
			t.Errorf("%+v", who)
		}
		if strings.Contains(v.Explain(token).Header, "kid") != (id != "") {
			t.Error(v.Explain(token).Header)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	k := keys()
	good := Mint{HMACSecret: testSecret}
	change := func(f func(*Claims)) Claims {
		c := minted
		f(&c)
		return c
	}
	for name, c := range map[string]struct {
		mint   Mint
		claims Claims
		says   string
	}{
		"no key":          {Mint{}, minted, "private key"},
		"two keys":        {Mint{HMACSecret: testSecret, PrivateKeyPEM: privatePEM(t, k.ed)}, minted, "not with both"},
		"weak secret":     {Mint{HMACSecret: []byte("secret")}, minted, "6 bytes"},
		"public key":      {Mint{PrivateKeyPEM: publicPEM(t, k.ed)}, minted, "no unencrypted private key"},
		"damaged key":     {Mint{PrivateKeyPEM: []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")}, minted, "can't be read"},
		"weak RSA":        {Mint{PrivateKeyPEM: privatePEM(t, k.weakRSA)}, minted, "1024 bits"},
		"P-384":           {Mint{PrivateKeyPEM: privatePEM(t, k.p384)}, minted, "P-384"},
		"wrong algorithm": {Mint{HMACSecret: testSecret, Algorithm: "RS256"}, minted, "RS256 needs a key of type RSA"},
		"none":            {Mint{HMACSecret: testSecret, Algorithm: "none"}, minted, `"none"`},
		"no user":         {good, change(func(c *Claims) { c.User = "" }), "sub"},
		"bad user":        {good, change(func(c *Claims) { c.User = "a\n" }), "sub"},
		"no expiry":       {good, change(func(c *Claims) { c.ExpiresAt = time.Time{} }), "expiry"},
		"bad pattern":     {good, change(func(c *Claims) { c.Rooms = []string{"chat*"} }), "rooms[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			if token, err := c.mint.Token(c.claims); err == nil || token != "" || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	v := attackedVerifier(t)
	token := func(claims string) string { return hs256(t, claims) }
	change := func(from, to string) string { return strings.Replace(fine, from, to, 1) }
	exp := "1800000060"
	for name, c := range map[string]struct {
		token string
		says  []string
	}{
		"accepted":       {token(fine), []string{`"alg": "HS256"`, `"sub": "alice"`, `verdict: accepted: user "alice" until 2027-01-15T08:01:00Z, in 1m0s`, `"**"`}},
		"expired":        {token(change(exp, "1799989200")), []string{"refused (expired): it expired 3h0m0s ago, at 2027-01-15T05:00:00Z", "leeway is 10s", "claims (not trusted)"}},
		"nbf":            {token(change(`"sub"`, `"nbf":1800003600,"sub"`)), []string{"not_yet_valid", "nbf is 1h0m0s ahead"}},
		"iat":            {token(change(`"sub"`, `"iat":1800003600,"sub"`)), []string{"not_yet_valid", "iat is 1h0m0s ahead"}},
		"issuer":         {token(change(`"issuer"`, `"other"`)), []string{`its iss is "other", auth.issuer wants "issuer"`}},
		"no issuer":      {token(change(`"iss"`, `"x"`)), []string{"its iss is missing"}},
		"audience":       {token(change(`"roost"`, `["x","y"]`)), []string{`its aud is "x", "y", auth.audience wants "roost"`}},
		"no audience":    {token(change(`"aud"`, `"x"`)), []string{"its aud is nothing"}},
		"algorithm":      {forge(t, "HS256", testSecret, `{"alg":"none"}`, fine), []string{`its alg is "none"`, "ES256, EdDSA, HS256"}},
		"no algorithm":   {forge(t, "HS256", testSecret, `{}`, fine), []string{"its alg is missing"}},
		"secret":         {forge(t, "HS256", make([]byte, 32), plainHeader, fine), []string{"HS256 signature", "auth.hmac_secret", "base64"}},
		"public key":     {forge(t, "RS256", keys().weakRSA, `{"alg":"RS256"}`, fine), []string{"RS256 signature", "auth.public_key_file (1 tried)"}},
		"pattern":        {token(change(`"**"`, `"a","chat*"`)), []string{`rooms[1]: in "chat*", * must stand alone`}},
		"rooms a string": {token(change(`["**"]`, `"**"`)), []string{"must each be a list"}},
		"float":          {token(change(exp, exp+".5")), []string{"whole number"}},
		"too long":       {strings.Repeat("a", 9000), []string{"9000 bytes, at most 8192"}},
		"two parts":      {"YQ.YQ", []string{"2 parts"}},
		"bearer":         {"Bearer " + token(fine), []string{"word before"}},
		"subprotocol":    {"token." + token(fine), []string{"word before"}},
		"white space":    {token(fine) + "\n", []string{"white space"}},
		"padded":         {token(fine) + "=", []string{"signature is not strict base64url"}},
		"no JSON":        {"YQ.YQ.YQ", []string{"header is not JSON", "header: (can't be decoded)"}},
		"claims twice":   {token(change(`"sub"`, `"sub":"a","sub"`)), []string{"name nothing twice"}},
		"terminal":       {token(change("alice", "\u009b31m\u202e")), []string{`\u009b31m\u202e`}},
	} {
		t.Run(name, func(t *testing.T) {
			text := v.Explain(c.token).String()
			for _, words := range c.says {
				if !strings.Contains(text, words) {
					t.Errorf("does not say %q:\n%s", words, text)
				}
			}
			if dot := strings.LastIndexByte(c.token, '.'); dot >= 0 && len(c.token)-dot > 20 && strings.Contains(text, c.token[dot+1:]) {
				t.Error("the signature is shown")
			}
		})
	}
	if v.CacheLen() != 0 {
		t.Error("explaining filled the cache")
	}
}

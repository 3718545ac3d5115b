package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// TestEachAlgorithm signs with every algorithm and shows the token to a verifier of that algorithm alone, to
// one of all, and to one of each other algorithm.
func TestEachAlgorithm(t *testing.T) {
	k := keys()
	all := fullVerifier(t)
	public := join(publicPEM(t, k.rsa), publicPEM(t, k.p256), publicPEM(t, k.ed))
	for signed, key := range signers() {
		token := []byte(forge(t, signed, key, `{"alg":"`+signed+`"}`, goodClaims))
		for allowed := range signers() {
			v := newVerifier(t, Options{HMACSecret: testSecret, PublicKeys: public, Algorithms: []string{allowed}})
			identity, err := v.Verify(token)
			if allowed != signed {
				if err != RefusedAlgorithm {
					t.Errorf("%s token where %s is allowed: %v", signed, allowed, err)
				}
				continue
			}
			if err != nil || identity.User != "alice" || identity.Expires != now.Unix()+3600 {
				t.Errorf("%s: %+v, %v", signed, identity, err)
			}
		}
		if _, err := all.Verify(token); err != nil {
			t.Errorf("%s where all are allowed: %v", signed, err)
		}
		if got, want := all.Inline(token), strings.HasPrefix(signed, "HS"); got != want {
			t.Errorf("%s: Inline = %v, want %v", signed, got, want)
		}
		for i := len(token) - 20; i < len(token)-1; i++ {
			broken := []byte(string(token))
			broken[i] ^= 1
			if _, err := all.Verify(broken); err == nil {
				t.Fatalf("%s: accepted with byte %d of the signature changed", signed, i)
			}
		}
	}
}

func TestSeveralKeysOfOneKind(t *testing.T) {
	var file []byte
	var last *ecdsa.PrivateKey
	for range 8 {
		var err error
		if last, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
		file = append(file, publicPEM(t, last)...)
	}
	v := newVerifier(t, Options{PublicKeys: file})
	if _, err := v.Verify([]byte(forge(t, "ES256", last, `{"alg":"ES256","kid":"anything"}`, goodClaims))); err != nil {
		t.Errorf("token of the eighth key: %v", err)
	}
	if _, err := v.Verify([]byte(forge(t, "ES256", keys().p256, `{"alg":"ES256"}`, goodClaims))); err != RefusedSignature {
		t.Errorf("token of a ninth key: %v", err)
	}
}

func attackedVerifier(t testing.TB) *Verifier {
	k := keys()
	return newVerifier(t, Options{
		HMACSecret:   testSecret,
		PublicKeys:   join(publicPEM(t, k.rsa), publicPEM(t, k.p256), publicPEM(t, k.ed)),
		Issuer:       "issuer",
		Audience:     "roost",
		Leeway:       10 * time.Second,
		CacheEntries: 64,
	})
}

func TestAttacks(t *testing.T) {
	v := attackedVerifier(t)
	if _, err := v.Verify([]byte(hs256(t, fine))); err != nil {
		t.Fatalf("the token that the attacks vary is refused: %v", err)
	}
	reasons := make(map[Refusal]bool)
	for _, a := range attacks(t) {
		t.Run(a.name, func(t *testing.T) {
			identity, err := v.Verify([]byte(a.token))
			if err != error(a.want) {
				t.Errorf("Verify: %v, want %v", err, a.want)
			}
			if identity != (Identity{}) {
				t.Errorf("refused, yet %+v", identity)
			}
			if _, ok := v.Cached([]byte(a.token)); ok {
				t.Error("a refused token is in the cache")
			}
			if e := v.Explain(a.token); e.Refusal != a.want || e.Identity != (Identity{}) {
				t.Errorf("Explain: %v, want %v", e.Refusal, a.want)
			}
			v.Inline([]byte(a.token))
		})
		reasons[a.want] = true
	}
	// These three need a KeySet or a Revocations.
	reasons[RefusedUnknownKey], reasons[RefusedNoKeys], reasons[RefusedRevoked] = true, true, true
	for _, r := range Refusals() {
		if !reasons[r] {
			t.Errorf("no attack is refused as %v", r)
		}
	}
	if v.CacheLen() != 1 {
		t.Errorf("the cache holds %d tokens, want the good one", v.CacheLen())
	}
}

// TestRefusalsKeepSecrets plants a canary in every place of a token and looks for it in everything that may
// reach a log.
func TestRefusalsKeepSecrets(t *testing.T) {
	const canary = "CANARYcanary"
	v := attackedVerifier(t)
	tokens := attacks(t)
	for i, a := range tokens {
		tokens[i].token = a.token + canary
	}
	tokens = append(tokens,
		attack{name: "token is the canary", token: canary},
		attack{name: "all parts are", token: canary + "." + canary + "." + canary},
		attack{name: "kid is", token: forge(t, "HS256", make([]byte, 32), `{"alg":"HS256","kid":"`+canary+`"}`, fine)},
		attack{name: "alg is", token: forge(t, "HS256", testSecret, `{"alg":"`+canary+`"}`, fine)},
		attack{name: "sub is", token: hs256(t, `{"sub":"`+canary+`\u0000","exp":1}`)},
		attack{name: "exp is", token: hs256(t, `{"exp":"`+canary+`"}`)},
		attack{name: "room is", token: hs256(t, strings.Replace(fine, "**", canary+" ", 1))},
	)
	for _, a := range tokens {
		_, err := v.Verify([]byte(a.token))
		var refusal Refusal
		if !errors.As(err, &refusal) {
			t.Fatalf("%s: %v is no Refusal", a.name, err)
		}
		for _, text := range []string{err.Error(), refusal.String(), refusal.Explain(), fmt.Sprintf("%v %+v %#v", err, err, err)} {
			if strings.Contains(text, canary) {
				t.Errorf("%s: %q quotes the token", a.name, text)
			}
		}
		e := v.Explain(a.token)
		if dot := strings.LastIndexByte(a.token, '.'); dot >= 0 && len(a.token)-dot > 20 {
			if strings.Contains(e.String(), a.token[dot+1:]) {
				t.Errorf("%s: the explanation quotes the signature", a.name)
			}
		}
	}
}

func TestAccepted(t *testing.T) {
	v := attackedVerifier(t)
	unix := now.Unix()
	with := func(claims string) string { return strings.TrimSuffix(fine, "}") + claims + "}" }
	dates := func(claims string) string { return `{"sub":"alice","iss":"issuer","aud":"roost",` + claims + `}` }
	for name, c := range map[string]struct{ header, claims string }{
		"expired within the leeway":   {plainHeader, dates(fmt.Sprintf(`"exp":%d`, unix-9))},
		"nbf within the leeway":       {plainHeader, dates(fmt.Sprintf(`"exp":%d,"nbf":%d`, unix+60, unix+10))},
		"nbf and iat with a fraction": {plainHeader, dates(fmt.Sprintf(`"exp":%d,"nbf":%d.25,"iat":1.7e9`, unix+60, unix))},
		"nbf and iat null or zero":    {plainHeader, dates(fmt.Sprintf(`"exp":%d,"nbf":null,"iat":0`, unix+60))},
		"exp in the year 9999":        {plainHeader, dates(`"exp":253402300799`)},
		"audience in a list":          {plainHeader, strings.Replace(fine, `"roost"`, `["other","roost"]`, 1)},
		"rooms null":                  {plainHeader, with(`,"rooms_read":null`)},
		"claims of others":            {plainHeader, with(`,"https:\/\/example.com\/role":{"a":["]","}",{}]},"Sub":"mallory","SUB":7`)},
		"white space":                 {" {\n\t\"typ\" : \"JWT\" , \"alg\" : \"HS256\" } ", " { " + fine[1:] + "\n"},
		"alg escaped":                 {`{"alg":"HS\u0032\u0035\u0036"}`, fine},
		"alg name escaped":            {`{"a\u006cg":"HS256"}`, fine},
		"kid a path":                  {`{"alg":"HS256","kid":"../../dev/null"}`, fine},
		"kid SQL":                     {`{"alg":"HS256","kid":"' OR 1=1 --"}`, fine},
		"kid CR LF":                   {`{"alg":"HS256","kid":"a\r\nb"}`, fine},
		"kid of 4 KiB":                {`{"alg":"HS256","kid":"` + strings.Repeat("k", 4096) + `"}`, fine},
		"kid an object":               {`{"alg":"HS256","kid":{"a":1}}`, fine},
		"jwk, jku, x5u and x5c":       {`{"alg":"HS256","jwk":{"kty":"oct","k":"AA"},"jku":"http://127.0.0.1/","x5u":"file:///etc/passwd","x5c":[1]}`, fine},
		"alg in other letters beside": {`{"ALG":"none","alg":"HS256","Crit":1}`, fine},
	} {
		t.Run(name, func(t *testing.T) {
			token := []byte(forge(t, "HS256", testSecret, c.header, c.claims))
			if identity, err := v.Verify(token); err != nil || identity.User != "alice" {
				t.Errorf("%+v, %v", identity, err)
			}
			if !v.Inline(token) {
				t.Error("Inline denies that this HMAC token is cheap")
			}
		})
	}
}

// TestHighS shows that both spellings of an ECDSA signature are taken: RFC 7518 does not ask for the low one,
// and half of all issuers' signatures are high.
func TestHighS(t *testing.T) {
	v := fullVerifier(t)
	token := forge(t, "ES256", keys().p256, `{"alg":"ES256"}`, goodClaims)
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(signature[32:])
	new(big.Int).Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	if _, err := v.Verify([]byte(token[:dot+1] + base64.RawURLEncoding.EncodeToString(signature))); err != nil {
		t.Error(err)
	}
}

func TestUserIsKeptAsWritten(t *testing.T) {
	v := fullVerifier(t)
	for _, user := range []string{"a", strings.Repeat("ü", 64), `"quoted\"`, "日本", "😀", "a b"} {
		claims := fmt.Sprintf(`{"sub":%s,"exp":%d}`, quoteJSON(t, user), now.Unix()+60)
		if identity, err := v.Verify([]byte(hs256(t, claims))); err != nil || identity.User != user {
			t.Errorf("%q: %+v, %v", user, identity, err)
		}
	}
	escaped := fmt.Sprintf(`{"sub":"\ud83d\ude00","exp":%d}`, now.Unix()+60)
	if identity, err := v.Verify([]byte(hs256(t, escaped))); err != nil || identity.User != "😀" {
		t.Errorf("%+v, %v", identity, err)
	}
}

// TestTokenMayBeOverwritten reuses the token's memory after Verify, as an event loop's read buffer is.
func TestTokenMayBeOverwritten(t *testing.T) {
	v := newVerifier(t, Options{HMACSecret: testSecret, CacheEntries: 8})
	token := []byte(hs256(t, goodClaims))
	again := []byte(string(token))
	identity, err := v.Verify(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range token {
		token[i] = 'x'
	}
	cached, ok := v.Cached(again)
	if !ok || cached != identity || identity.User != "alice" || !identity.Rights.CanJoin([]byte("chat.a")) {
		t.Errorf("%+v, %v after the token was overwritten", cached, ok)
	}
}

func TestRefusalTexts(t *testing.T) {
	words := make(map[string]bool)
	for _, r := range Refusals() {
		if r.String() == "" || r.Explain() == "" || words[r.String()] || !strings.HasSuffix(r.Error(), r.String()) {
			t.Errorf("%d: %q, %q, %q", r, r.String(), r.Error(), r.Explain())
		}
		words[r.String()] = true
	}
	if Refusal(0).String() != "none" || Refusal(200).String() != "unknown" || Refusal(200).Explain() == "" {
		t.Error("a Refusal outside the list has no word")
	}
}

package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"
)

// jwk describes the public half of a key, changed by members; a nil member is left out.
func jwk(t testing.TB, key any, members map[string]any) string {
	t.Helper()
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	var all map[string]any
	switch key := key.(type) {
	case *rsa.PrivateKey:
		all = map[string]any{"kty": "RSA", "n": number(key.N), "e": number(big.NewInt(int64(key.E)))}
	case *ecdsa.PrivateKey:
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := len(point) / 2
		all = map[string]any{"kty": "EC", "crv": key.Params().Name,
			"x": base64.RawURLEncoding.EncodeToString(point[1 : 1+half]), "y": base64.RawURLEncoding.EncodeToString(point[1+half:])}
	case ed25519.PrivateKey:
		all = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))}
	default:
		all = map[string]any{}
	}
	maps.Copy(all, members)
	maps.DeleteFunc(all, func(_ string, member any) bool { return member == nil })
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func kid(id string) map[string]any { return map[string]any{"kid": id} }

// jwks is a key set of those keys.
func jwks(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// TestReadKeySet is what becomes of each entry of a set, beside one good key.
func TestReadKeySet(t *testing.T) {
	k := keys()
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := jwk(t, k.ed, kid("good"))
	with := func(key any, name string, value any) string {
		return jwk(t, key, map[string]any{"kid": "k", name: value})
	}
	ones := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 2000)))
	for name, c := range map[string]struct {
		entry string
		why   Skip // skipEnd: used
	}{
		"RSA":                           {jwk(t, k.rsa, kid("k")), skipEnd},
		"P-256":                         {jwk(t, k.p256, kid("k")), skipEnd},
		"Ed25519":                       {jwk(t, k.ed, kid("k")), skipEnd},
		"without kid":                   {jwk(t, k.rsa, nil), skipEnd},
		"with padding":                  {with(k.ed, "x", base64.URLEncoding.EncodeToString(k.ed.Public().(ed25519.PublicKey))), skipEnd},
		"kid of another kind":           {jwk(t, k.rsa, kid("good")), skipEnd},
		"use sig":                       {with(k.rsa, "use", "sig"), skipEnd},
		"key_ops verify":                {with(k.rsa, "key_ops", []string{"verify", "unheard-of"}), skipEnd},
		"alg":                           {with(k.rsa, "alg", "PS256"), skipEnd},
		"certificates of somebody else": {with(k.rsa, "x5c", []string{"AAAA"}), skipEnd},
		"x5u":                           {with(k.rsa, "x5u", "http://127.0.0.1:1/"), skipEnd},
		"members unheard of":            {with(k.rsa, "issuer", map[string]any{"a": 1}), skipEnd},

		"null":                    {`null`, SkipMalformed},
		"a number":                {`7`, SkipMalformed},
		"without kty":             {with(k.rsa, "kty", nil), SkipMalformed},
		"unknown kty":             {with(k.rsa, "kty", "PQ"), SkipKind},
		"kty a number":            {with(k.rsa, "kty", 7), SkipMalformed},
		"kid a number":            {with(k.rsa, "kid", 7), SkipMalformed},
		"RSA without n":           {with(k.rsa, "n", nil), SkipMalformed},
		"RSA with a bad n":        {with(k.rsa, "n", "%"), SkipMalformed},
		"RSA with e beyond int64": {with(k.rsa, "e", "AQAAAAAAAQAB"), SkipMalformed},
		"EC off the curve":        {with(k.p256, "x", "AAAA"), SkipMalformed},
		"EC at infinity":          {jwk(t, k.p256, map[string]any{"x": "AA", "y": "AA"}), SkipMalformed},
		"EC on another curve":     {with(k.p256, "crv", "P-384"), SkipMalformed},
		"Ed25519 of 31 bytes":     {with(k.ed, "x", strings.Repeat("A", 41)), SkipMalformed},
		"shared secret":           {`{"kty":"oct","k":"` + strings.Repeat("A", 64) + `","kid":"k"}`, SkipSymmetric},
		"secret in an RSA key":    {with(k.rsa, "k", "AAAA"), SkipSymmetric},
		"private key":             {with(k.rsa, "d", "AAAA"), SkipPrivate},
		"use enc":                 {with(k.rsa, "use", "enc"), SkipUse},
		"key_ops encrypt":         {with(k.rsa, "key_ops", []string{"encrypt"}), SkipUse},
		"alg for encryption":      {with(k.rsa, "alg", "RSA-OAEP"), SkipAlgorithm},
		"alg of this kind":        {with(k.rsa, "alg", "RS512"), SkipAlgorithm},
		"alg of another kind":     {with(k.rsa, "alg", "ES256"), SkipAlgorithm},
		"alg HMAC":                {with(k.rsa, "alg", "HS256"), SkipAlgorithm},
		"alg none":                {with(k.rsa, "alg", "none"), SkipAlgorithm},
		"X25519":                  {jwk(t, k.ed, map[string]any{"crv": "X25519"}), SkipKind},
		"P-384":                   {jwk(t, k.p384, kid("k")), SkipKind},
		"P-521":                   {jwk(t, p521, kid("k")), SkipKind},
		"secp256k1":               {with(k.p256, "crv", "secp256k1"), SkipKind},
		"RSA of 1024 bits":        {jwk(t, k.weakRSA, kid("k")), SkipWeak},
		"RSA of 16000 bits":       {with(k.rsa, "n", ones), SkipWeak},
		"RSA with e = 2":          {with(k.rsa, "e", "Ag"), SkipWeak},
		"the same again":          {good, SkipDuplicate},
		"the same kid":            {jwk(t, ed25519.NewKeyFromSeed(make([]byte, 32)), kid("good")), SkipDuplicate},
	} {
		t.Run(name, func(t *testing.T) {
			table, skips, outcome := readKeySet([]byte(jwks(good, c.entry)))
			if outcome != RefreshChanged {
				t.Fatalf("outcome %v", outcome)
			}
			want := Skips{}
			size := 2
			if c.why != skipEnd {
				want[c.why]++
				size = 1
			}
			if table.size != size || skips != want {
				t.Errorf("%d keys, without %q; want %d, without %q", table.size, skips, size, want)
			}
		})
	}
}

// TestWhichKeys is what each header is tried with.
func TestWhichKeys(t *testing.T) {
	k := keys()
	table, _, outcome := readKeySet([]byte(jwks(
		jwk(t, k.rsa, kid("a")), jwk(t, k.p256, kid("a")), jwk(t, k.ed, nil),
		jwk(t, k.rsa, map[string]any{"kid": "pss", "alg": "PS256"}))))
	if outcome != RefreshChanged {
		t.Fatal(outcome)
	}
	for name, c := range map[string]struct {
		algorithm, kid string
		keys           int
		refusal        Refusal
	}{
		"by kid":                              {"RS256", "a", 1, 0},
		"the same kid, another kind":          {"ES256", "a", 1, 0},
		"the same kid, a third kind":          {"EdDSA", "a", 0, RefusedUnknownKey},
		"without kid, among all":              {"PS256", "", 2, 0},
		"without kid, alg of the key heeded":  {"RS256", "", 1, 0},
		"without kid, key without kid":        {"EdDSA", "", 1, 0},
		"kid of a key that is for another":    {"RS256", "pss", 0, RefusedAlgorithm},
		"kid of a key that says its alg":      {"PS256", "pss", 1, 0},
		"unknown kid":                         {"RS256", "b", 0, RefusedUnknownKey},
		"kid a path":                          {"RS256", "../../dev/null", 0, RefusedUnknownKey},
		"kid SQL":                             {"RS256", "' OR 1=1 --", 0, RefusedUnknownKey},
		"kid CR LF":                           {"RS256", "a\r\n", 0, RefusedUnknownKey},
		"kid of 10 KiB":                       {"RS256", strings.Repeat("a", 10<<10), 0, RefusedUnknownKey},
		"unknown kid, though there is no kid": {"EdDSA", "b", 0, RefusedUnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := familyOfAlgorithm(c.algorithm)
			found, refusal := table.find(&header{keyID: []byte(c.kid)}, &binding{name: c.algorithm, family: f})
			if len(found.Keys) != c.keys || refusal != c.refusal {
				t.Errorf("%d keys, %v; want %d, %v", len(found.Keys), refusal, c.keys, c.refusal)
			}
		})
	}
}

// TestKeySetBounds: no more than 100 keys in all, no more than 8 for a token that does not say which.
func TestKeySetBounds(t *testing.T) {
	var entries []string
	for n := range maxFetchedKeys + 20 {
		seed := make([]byte, ed25519.SeedSize)
		seed[0] = byte(n)
		entries = append(entries, jwk(t, ed25519.NewKeyFromSeed(seed), kid(fmt.Sprint(n))))
	}
	table, skips, _ := readKeySet([]byte(jwks(entries...)))
	if table.size != maxFetchedKeys || skips[SkipExcess] != 20 || len(table.unnamed["EdDSA"].Keys) != maxPublicKeys {
		t.Errorf("%d keys, without %q, %d without a kid", table.size, skips, len(table.unnamed["EdDSA"].Keys))
	}
}

// TestEqualSets: order and what else a set says do not make it another one; a key, a kid or an alg does.
func TestEqualSets(t *testing.T) {
	k := keys()
	a, b := jwk(t, k.rsa, kid("a")), jwk(t, k.ed, kid("b"))
	printOf := func(entries ...string) [32]byte {
		table, _, outcome := readKeySet([]byte(jwks(entries...)))
		if outcome != RefreshChanged {
			t.Fatal(outcome)
		}
		return table.print
	}
	same := printOf(a, b)
	if printOf(b, a) != same || printOf(a, `{"kty":"oct","k":"AA"}`, jwk(t, k.ed, map[string]any{"kid": "b", "use": "sig"})) != same {
		t.Error("equal sets differ")
	}
	for name, other := range map[string][32]byte{
		"a key less":  printOf(a),
		"another kid": printOf(a, jwk(t, k.ed, kid("c"))),
		"another key": printOf(a, jwk(t, ed25519.NewKeyFromSeed(make([]byte, 32)), kid("b"))),
		"an alg":      printOf(a, jwk(t, k.ed, map[string]any{"kid": "b", "alg": "EdDSA"})),
	} {
		if other == same {
			t.Errorf("%s is taken for the same set", name)
		}
	}
}

func TestRefreshTexts(t *testing.T) {
	words := make(map[string]bool)
	for _, r := range RefreshOutcomes() {
		if r.String() == "" || words[r.String()] || r.Failed() != (r != RefreshChanged && r != RefreshUnchanged) {
			t.Errorf("%d: %q, failed %v", r, r, r.Failed())
		}
		words[r.String()] = true
	}
	for s := range skipEnd {
		if s.String() == "" || words[s.String()] && s != SkipMalformed {
			t.Errorf("%d: %q", s, s)
		}
		words[s.String()] = true
	}
	if Refresh(0).String() != "none" || Refresh(99).String() != "unknown" || Skip(99).String() != "unknown" || Refresh(0).Failed() {
		t.Error("what is outside the lists has no word")
	}
	if text := (Skips{SkipSymmetric: 1, SkipWeak: 2}).String(); text != "1 symmetric, 2 weak" {
		t.Error(text)
	}
}

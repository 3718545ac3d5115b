package auth

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// settled makes a KeySet that has fetched those keys once and does not run.
func settled(t testing.TB, entries ...string) *KeySet {
	t.Helper()
	k := newKeySet(t, newIssuerOfTests(entries...), KeySetOptions{})
	k.turn()
	if len(entries) > 0 && k.Status().Keys == 0 {
		t.Fatalf("%+v", k.Status())
	}
	return k
}

// claimsOf are good claims of an issuer.
func claimsOf(issuer, more string) string {
	return fmt.Sprintf(`{"sub":"alice","exp":%d,"rooms":["**"],"iss":%q%s}`, now.Unix()+60, issuer, more)
}

var otherSecret = []byte("another-secret-0123456789abcdef-0123456789ABCDEF")

// manyIssuers accepts tokens of an issuer with a secret, one with a file of keys, one with a key set, one with a secret
// and a key set, and one whose key set could not be fetched.
func manyIssuers(t testing.TB) *Verifier {
	k := keys()
	return newVerifier(t, Options{
		CacheEntries: 64,
		Leeway:       10 * time.Second,
		Issuers: []Issuer{
			{Name: "secret", HMACSecret: testSecret, Audience: "roost", Algorithms: []string{"HS256"}},
			{Name: "file", PublicKeys: join(publicPEM(t, k.rsa), publicPEM(t, k.p256)), Algorithms: []string{"RS256", "ES256"}},
			{Name: "fetched", KeySet: settled(t, jwk(t, k.rsa, kid("k1")), jwk(t, k.ed, kid("k1")), jwk(t, k.p256, kid("k2")))},
			{Name: "both", KeySet: settled(t, jwk(t, k.p256, kid("k1"))), HMACSecret: otherSecret},
			{Name: "https://tenant.example/", KeySet: settled(t)},
		},
	})
}

// TestIssuers shows tokens to a verifier of several issuers.
func TestIssuers(t *testing.T) {
	k := keys()
	v := manyIssuers(t)
	if want := "ES256, EdDSA, HS256, HS384, HS512, PS256, RS256"; v.Algorithms() != want {
		t.Errorf("algorithms %s, want %s", v.Algorithms(), want)
	}
	sign := func(algorithm string, key any, kid, claims string) string {
		return forge(t, algorithm, key, fmt.Sprintf(`{"alg":%q,"kid":%q}`, algorithm, kid), claims)
	}
	secret := claimsOf("secret", `,"aud":"roost"`)
	for name, c := range map[string]struct {
		token string
		want  Refusal
	}{
		"secret":                                     {sign("HS256", testSecret, "", secret), 0},
		"secret, kid not looked at":                  {sign("HS256", testSecret, "../../dev/null", secret), 0},
		"secret, kid an object":                      {forge(t, "HS256", testSecret, `{"alg":"HS256","kid":{}}`, secret), 0},
		"secret, iss escaped":                        {sign("HS256", testSecret, "", strings.Replace(secret, `"secret"`, `"\u0073ecret"`, 1)), 0},
		"secret, long claims":                        {sign("HS256", testSecret, "", strings.Replace(secret, `{`, `{"x":"`+strings.Repeat("x", 3000)+`",`, 1)), 0},
		"secret, another audience":                   {sign("HS256", testSecret, "", claimsOf("secret", `,"aud":"x"`)), RefusedAudience},
		"secret, no audience":                        {sign("HS256", testSecret, "", claimsOf("secret", "")), RefusedAudience},
		"secret, algorithm of another issuer":        {sign("HS384", testSecret, "", secret), RefusedAlgorithm},
		"secret, signed by another issuer":           {sign("HS256", otherSecret, "", secret), RefusedSignature},
		"secret, expired":                            {sign("HS256", testSecret, "", strings.Replace(secret, fmt.Sprint(now.Unix()+60), "1", 1)), RefusedExpired},
		"file":                                       {sign("RS256", k.rsa, "", claimsOf("file", "")), 0},
		"file, audience of another issuer":           {sign("ES256", k.p256, "x", claimsOf("file", `,"aud":"x"`)), 0},
		"file, key of another issuer":                {sign("EdDSA", k.ed, "", claimsOf("file", "")), RefusedAlgorithm},
		"file, as a secret":                          {sign("HS256", publicPEM(t, k.rsa), "", claimsOf("file", "")), RefusedAlgorithm},
		"fetched":                                    {sign("RS256", k.rsa, "k1", claimsOf("fetched", "")), 0},
		"fetched, other padding":                     {sign("PS256", k.rsa, "k1", claimsOf("fetched", "")), 0},
		"fetched, the same kid of another kind":      {sign("EdDSA", k.ed, "k1", claimsOf("fetched", "")), 0},
		"fetched, without kid":                       {forge(t, "ES256", k.p256, `{"alg":"ES256"}`, claimsOf("fetched", "")), 0},
		"fetched, kid empty":                         {sign("ES256", k.p256, "", claimsOf("fetched", "")), 0},
		"fetched, kid escaped":                       {forge(t, "ES256", k.p256, `{"alg":"ES256","kid":"\u006b2"}`, claimsOf("fetched", "")), 0},
		"fetched, kid of another key":                {sign("ES256", k.p256, "k1", claimsOf("fetched", "")), RefusedUnknownKey},
		"fetched, kid a path":                        {sign("ES256", k.p256, "../../dev/null", claimsOf("fetched", "")), RefusedUnknownKey},
		"fetched, kid SQL":                           {sign("ES256", k.p256, "k2' OR 1=1 --", claimsOf("fetched", "")), RefusedUnknownKey},
		"fetched, kid CR LF":                         {sign("ES256", k.p256, "k2\r\n", claimsOf("fetched", "")), RefusedUnknownKey},
		"fetched, kid of 4 KiB":                      {sign("ES256", k.p256, strings.Repeat("k", 4<<10), claimsOf("fetched", "")), RefusedUnknownKey},
		"fetched, kid of 10 KiB":                     {sign("ES256", k.p256, strings.Repeat("k", 10<<10), claimsOf("fetched", "")), RefusedTooLong},
		"fetched, kid a number":                      {forge(t, "ES256", k.p256, `{"alg":"ES256","kid":2}`, claimsOf("fetched", "")), RefusedMalformed},
		"fetched, kid null":                          {forge(t, "ES256", k.p256, `{"alg":"ES256","kid":null}`, claimsOf("fetched", "")), RefusedMalformed},
		"fetched, two kids":                          {forge(t, "ES256", k.p256, `{"alg":"ES256","kid":"k1","kid":"k2"}`, claimsOf("fetched", "")), RefusedMalformed},
		"fetched, a stranger's key":                  {sign("RS256", k.weakRSA, "k1", claimsOf("fetched", "")), RefusedSignature},
		"fetched, a stranger's key in jwk":           {forge(t, "RS256", k.weakRSA, `{"alg":"RS256","kid":"k1","jwk":`+jwk(t, k.weakRSA, nil)+`}`, claimsOf("fetched", "")), RefusedSignature},
		"fetched, jku":                               {forge(t, "RS256", k.weakRSA, `{"alg":"RS256","kid":"k1","jku":"https://127.0.0.1:1/","x5u":"https://127.0.0.1:1/"}`, claimsOf("fetched", "")), RefusedSignature},
		"fetched, crit":                              {forge(t, "RS256", k.rsa, `{"alg":"RS256","kid":"k1","crit":["b64"]}`, claimsOf("fetched", "")), RefusedCritical},
		"fetched, as a secret":                       {sign("HS256", k.rsa.N.Bytes(), "k1", claimsOf("fetched", "")), RefusedAlgorithm},
		"both, secret":                               {sign("HS512", otherSecret, "k1", claimsOf("both", "")), 0},
		"both, fetched":                              {sign("ES256", k.p256, "k1", claimsOf("both", "")), 0},
		"both, key of another issuer":                {sign("RS256", k.rsa, "k1", claimsOf("both", "")), RefusedUnknownKey},
		"both, the fetched key as a secret":          {sign("HS256", publicPEM(t, k.p256), "k1", claimsOf("both", "")), RefusedSignature},
		"not fetched":                                {sign("RS256", k.rsa, "k1", claimsOf("https://tenant.example/", "")), RefusedNoKeys},
		"not fetched, and no secret":                 {sign("HS256", testSecret, "", claimsOf("https://tenant.example/", "")), RefusedAlgorithm},
		"nobody on the list":                         {sign("HS256", testSecret, "", claimsOf("evil", `,"aud":"roost"`)), RefusedIssuer},
		"an address nobody asked for":                {sign("RS256", k.rsa, "k1", claimsOf("https://127.0.0.1:1/", "")), RefusedIssuer},
		"an address with a beginning that fits":      {sign("RS256", k.rsa, "k1", claimsOf("https://tenant.example/../evil", "")), RefusedIssuer},
		"other letters":                              {sign("HS256", testSecret, "", claimsOf("Secret", `,"aud":"roost"`)), RefusedIssuer},
		"iss missing":                                {hs256(t, `{"sub":"alice","exp":1900000000,"aud":"roost"}`), RefusedIssuer},
		"iss empty":                                  {hs256(t, claimsOf("", `,"aud":"roost"`)), RefusedIssuer},
		"iss a list":                                 {hs256(t, `{"sub":"alice","exp":1900000000,"aud":"roost","iss":["secret"]}`), RefusedIssuer},
		"iss null":                                   {hs256(t, `{"sub":"alice","exp":1900000000,"aud":"roost","iss":null}`), RefusedIssuer},
		"iss in capitals":                            {hs256(t, `{"sub":"alice","exp":1900000000,"aud":"roost","ISS":"secret"}`), RefusedIssuer},
		"iss deeper":                                 {hs256(t, `{"x":{"iss":"secret"},"sub":"alice","exp":1900000000,"aud":"roost"}`), RefusedIssuer},
		"iss twice":                                  {hs256(t, claimsOf("secret", `,"aud":"roost","iss":"file"`)), RefusedMalformed},
		"claims no object":                           {hs256(t, `["iss","secret"]`), RefusedIssuer},
		"claims no JSON":                             {hs256(t, `{"iss":"secret"`), RefusedMalformed},
		"claims no base64":                           {"eyJhbGciOiJIUzI1NiJ9.A.AA", RefusedMalformed},
		"alg none, which nobody allows":              {encode(`{"alg":"none"}`) + "." + encode(secret) + ".", RefusedAlgorithm},
		"an algorithm that nobody allows, crit":      {forge(t, "HS256", testSecret, `{"alg":"RS512","crit":[]}`, secret), RefusedAlgorithm},
		"signed by one, in the name of another":      {sign("RS256", k.rsa, "k1", claimsOf("secret", `,"aud":"roost"`)), RefusedAlgorithm},
		"signed by one, in the name of another, too": {sign("HS512", otherSecret, "", claimsOf("fetched", "")), RefusedAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			d := mustBe(t, v, []byte(c.token), c.want)
			_, err := v.Verify([]byte(c.token))
			if refusal := Refusal(0); err != nil && (!errors.As(err, &refusal) || refusal != c.want) || (err == nil) != (c.want == 0) {
				t.Errorf("Verify: %v, want %v", err, c.want)
			}
			if cached, ok := v.Cached([]byte(c.token)); ok != (c.want == 0) || cached != d.Identity {
				t.Errorf("cached %v, %+v", ok, cached)
			}
			if e := v.Explain(c.token); e.Refusal != c.want {
				t.Errorf("explained as %v: %s", e.Refusal, e.Verdict)
			}
			if d.Await(nil) {
				t.Error("waits for a KeySet that does not run")
			}
		})
	}
}

// TestAttacksAmongIssuers repeats what a single issuer's verifier must stand.
func TestAttacksAmongIssuers(t *testing.T) {
	k := keys()
	v := newVerifier(t, Options{Leeway: 10 * time.Second, CacheEntries: 64, Issuers: []Issuer{
		{Name: "other", HMACSecret: otherSecret},
		{Name: "issuer", Audience: "roost", HMACSecret: testSecret,
			KeySet: settled(t, jwk(t, k.rsa, nil), jwk(t, k.p256, nil), jwk(t, k.ed, nil))},
	}})
	mustBe(t, v, []byte(hs256(t, fine)), 0)
	mustBe(t, v, []byte(forge(t, "PS256", k.rsa, `{"alg":"PS256"}`, fine)), 0)
	for _, a := range attacks(t) {
		d := v.Check([]byte(a.token))
		// Claims without a readable iss never get as far as the rest.
		if d.Refusal != a.want && d.Refusal != RefusedIssuer || d.Identity != (Identity{}) {
			t.Errorf("%s: %v, want %v", a.name, d.Refusal, a.want)
		}
		if len(a.token) > 2<<10 {
			continue // laying one out takes long
		}
		if e := v.Explain(a.token); e.Refusal != d.Refusal {
			t.Errorf("%s: %v, explained as %v", a.name, d.Refusal, e.Refusal)
		}
	}
	if v.CacheLen() != 2 {
		t.Errorf("%d tokens in the cache", v.CacheLen())
	}
}

func TestNewRefusesIssuers(t *testing.T) {
	k := keys()
	set := settled(t)
	one := Issuer{Name: "a", HMACSecret: testSecret}
	for name, c := range map[string]struct {
		options Options
		says    []string
	}{
		"beside a secret":        {Options{HMACSecret: testSecret, Issuers: []Issuer{one}}, []string{"auth.issuers: takes the place"}},
		"beside a name":          {Options{Issuer: "a", Issuers: []Issuer{one}}, []string{"auth.issuers: takes the place"}},
		"without a name":         {Options{Issuers: []Issuer{one, {HMACSecret: testSecret}}}, []string{"auth.issuers[1].issuer", "missing"}},
		"twice":                  {Options{Issuers: []Issuer{one, one}}, []string{"auth.issuers[1].issuer", `"a"`, "auth.issuers[0]"}},
		"without keys":           {Options{Issuers: []Issuer{one, {Name: "b"}}}, []string{"auth.issuers[1]", "jwks_url"}},
		"weak secret":            {Options{Issuers: []Issuer{{Name: "a", HMACSecret: []byte("x")}}}, []string{"auth.issuers[0].hmac_secret"}},
		"weak key":               {Options{Issuers: []Issuer{{Name: "a", PublicKeys: publicPEM(t, k.weakRSA)}}}, []string{"auth.issuers[0].public_key_file"}},
		"algorithm without key":  {Options{Issuers: []Issuer{{Name: "a", HMACSecret: testSecret, Algorithms: []string{"ES256"}}}}, []string{"auth.issuers[0].algorithms", "auth.issuers[0].jwks_url"}},
		"a file and a set":       {Options{KeySet: set, PublicKeys: publicPEM(t, k.rsa)}, []string{"auth.public_key_file", "auth.jwks_url"}},
		"a set and HMAC allowed": {Options{KeySet: set, Algorithms: []string{"HS256"}}, []string{"HS256", "auth.hmac_secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := New(c.options)
			if err == nil || v != nil {
				t.Fatalf("New = %v, %v; want an error", v, err)
			}
			for _, words := range c.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q does not say %q", err, words)
				}
			}
		})
	}
	if v := newVerifier(t, Options{KeySet: set}); v.Algorithms() != "ES256, EdDSA, PS256, RS256" {
		t.Errorf("a key set alone allows %s", v.Algorithms())
	}
}

func TestExplainIssuers(t *testing.T) {
	k := keys()
	v := manyIssuers(t)
	sign := func(algorithm string, key any, kid, claims string) string {
		return forge(t, algorithm, key, fmt.Sprintf(`{"alg":%q,"kid":%q}`, algorithm, kid), claims)
	}
	pss := newVerifier(t, Options{KeySet: settled(t, jwk(t, k.rsa, map[string]any{"kid": "k", "alg": "PS256"}), jwk(t, k.weakRSA, nil))})
	for name, c := range map[string]struct {
		verifier *Verifier
		token    string
		says     []string
	}{
		"nobody on the list":  {v, hs256(t, claimsOf("evil", "")), []string{`its iss is "evil", auth.issuers has "both", "fetched"`}},
		"no iss":              {v, hs256(t, `{}`), []string{"its iss is missing"}},
		"claims no object":    {v, hs256(t, `[]`), []string{"refused (issuer)", "JSON objects"}},
		"another's algorithm": {v, sign("HS384", testSecret, "", claimsOf("secret", "")), []string{`its alg is "HS384", auth.issuers[0] allows HS256`}},
		"another audience":    {v, hs256(t, claimsOf("secret", "")), []string{"auth.issuers[0].audience wants"}},
		"another secret":      {v, sign("HS256", otherSecret, "", claimsOf("secret", "")), []string{"auth.issuers[0].hmac_secret"}},
		"another key":         {v, sign("RS256", k.weakRSA, "k1", claimsOf("fetched", "")), []string{"RS256 signature", "auth.issuers[2].jwks_url (1 tried)"}},
		"unknown kid":         {v, forge(t, "RS256", k.rsa, `{"alg":"RS256","kid":"\u001b[31m"}`, claimsOf("fetched", "")), []string{`its kid is "\x1b[31m" and its alg is RS256; of keys, auth.issuers[2].jwks_url has 3 of use`}},
		"no keys":             {v, sign("RS256", k.rsa, "k1", claimsOf("https://tenant.example/", "")), []string{"auth.issuers[4].jwks_url has 0 of use", "ended with: empty"}},
		"not tried yet":       {newVerifier(t, Options{KeySet: newKeySet(t, nil, KeySetOptions{})}), sign("RS256", k.rsa, "k1", goodClaims), []string{"auth.jwks_url has 0 of use, since it has not been fetched yet"}},
		"a key's algorithm":   {pss, sign("RS256", k.rsa, "k", goodClaims), []string{`its alg is "RS256", and the key of its kid "k" is for another`}},
		"keys of no use":      {pss, sign("RS256", k.rsa, "x", goodClaims), []string{"has 1 of use and others that are not (1 weak)"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := c.verifier.Explain(c.token).String()
			for _, words := range c.says {
				if !strings.Contains(text, words) {
					t.Errorf("does not say %q:\n%s", words, text)
				}
			}
		})
	}
}

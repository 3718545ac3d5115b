package auth

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// FuzzVerify knows every text that was ever signed; nothing else may be accepted.
func FuzzVerify(f *testing.F) {
	v := attackedVerifier(f)
	signed := make(map[string]bool)
	add := func(token string) {
		signed[token[:max(strings.LastIndexByte(token, '.'), 0)]] = true
		f.Add([]byte(token))
	}
	for algorithm, key := range signers() {
		add(forge(f, algorithm, key, `{"alg":"`+algorithm+`"}`, fine))
	}
	for _, a := range attacks(f) {
		f.Add([]byte(a.token))
	}
	f.Fuzz(func(t *testing.T, token []byte) {
		inline := v.Inline(token)
		identity, err := v.Verify(token)
		explanation := v.Explain(string(token))
		if err != nil {
			refusal, ok := err.(Refusal)
			if !ok || refusal == 0 || refusal >= refusalEnd || refusal != explanation.Refusal || identity != (Identity{}) {
				t.Fatalf("%+v, %v, explained as %v", identity, err, explanation.Refusal)
			}
			if _, ok := v.Cached(token); ok {
				t.Fatal("a refused token is in the cache")
			}
			return
		}
		if text := string(token[:bytes.LastIndexByte(token, '.')]); !signed[text] {
			t.Fatalf("accepted without anybody having signed it: %s", text)
		}
		if cached, ok := v.Cached(token); !ok || cached != identity {
			t.Fatalf("cached as %+v, %v", cached, ok)
		}
		header, _ := readHeader(token[:bytes.IndexByte(token, '.')], nil)
		if inline != strings.HasPrefix(string(header.algorithm), "HS") {
			t.Fatalf("Inline = %v for %s", inline, header.algorithm)
		}
	})
}

// FuzzHeader compares our reading of a header with the library's, which decides how the signature is checked.
func FuzzHeader(f *testing.F) {
	for _, header := range []string{plainHeader, `{}`, `{"alg":"HS\u0032"}`, `{"a\u006cg":"x","alg":1}`, ` {"crit" : null}`, `[]`, `{"a":{"alg":"x"}}`, `{"alg":"\ud800"}`, `{"alg":"x","kid":"\u006b"}`, `{"kid":1,"kid":"a"}`} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, document string) {
		h, refusal := readHeader([]byte(encode(document)), nil)
		if refusal != 0 {
			return
		}
		var theirs map[string]any
		if err := json.Unmarshal([]byte(document), &theirs); err != nil {
			t.Fatalf("read %q, which is no JSON object: %v", document, err)
		}
		if algorithm, _ := theirs["alg"].(string); algorithm != string(h.algorithm) && strings.ToValidUTF8(string(h.algorithm), "") == string(h.algorithm) {
			t.Fatalf("%q: alg %q, the library reads %q", document, h.algorithm, algorithm)
		}
		if id, isText := theirs["kid"].(string); isText && !h.badKeyID && strings.ToValidUTF8(string(h.keyID), "\ufffd") != strings.ToValidUTF8(id, "\ufffd") && !strings.Contains(id, "\ufffd") {
			t.Fatalf("%q: kid %q, the library reads %q", document, h.keyID, id)
		}
		if _, critical := theirs["crit"]; critical != h.critical {
			t.Fatalf("%q: crit %v, the library reads %v", document, h.critical, critical)
		}
	})
}

// FuzzMembers compares the walk over an object with what encoding/json finds in it.
func FuzzMembers(f *testing.F) {
	for _, document := range []string{`{}`, `{"a":1}`, ` { "a" : [1,{"b":"}"}] , "c\n":"\"" } `, `{"":null,"x":"]","y":-1.5e3}`, `[1]`, `{"a":1,"a":2}`, `{"a":true`, `{"a`} {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		found := make(map[string]string)
		if walk, ok := membersOf(document); ok {
			for {
				name, value, left, more := walk.next()
				if !more {
					break
				}
				walk = left
				// Both decoders turn invalid UTF-8 in names into the same character.
				found[strings.ToValidUTF8(string(name), "\ufffd")] = string(value)
			}
		}
		var theirs map[string]json.RawMessage
		if json.Unmarshal(document, &theirs) != nil {
			return // it was enough to stay within bounds
		}
		if len(found) != len(theirs) && strings.ToValidUTF8(string(document), "") == string(document) {
			t.Fatalf("%q: found %q, want %q", document, found, theirs)
		}
		for name, value := range theirs {
			if found[name] != string(value) && strings.ToValidUTF8(string(document), "") == string(document) {
				t.Fatalf("%q: %q is %q, want %q", document, name, found[name], value)
			}
		}
	})
}

// FuzzPattern compares matching with a regular expression that says the same.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{{"chat.*", "chat.a"}, {"**", "."}, {"a.*.**", "a.b.c.d"}, {"a..b", "a..b"}, {"*.*", "a."}, {"*", ""}, {".*", "..a"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, room string) {
		if checkPattern(pattern) != nil {
			return
		}
		segments := strings.Split(pattern, ".")
		for i, segment := range segments {
			switch segment {
			case "*":
				segments[i] = `[^.]+`
			case "**":
				segments[i] = `(?s:.+)`
			default:
				segments[i] = regexp.QuoteMeta(segment)
			}
		}
		want := regexp.MustCompile(`\A` + strings.Join(segments, `\.`) + `\z`).MatchString(room)
		if r := rightsOf([]string{pattern}, nil); r.CanJoin([]byte(room)) != want || r.CanPublishString(room) != want {
			t.Fatalf("%q matches %q: %v, want %v", pattern, room, !want, want)
		}
		if read := rightsOf(nil, []string{pattern}); read.CanJoin([]byte(room)) != want || read.CanPublish([]byte(room)) {
			t.Fatalf("%q to read %q: want %v to join and never to publish", pattern, room, want)
		}
	})
}

// FuzzKeySet reads documents of an issuer, who is trusted with keys but not with our memory or our algorithms.
func FuzzKeySet(f *testing.F) {
	k := keys()
	rsa, ed := jwk(f, k.rsa, kid("a")), jwk(f, k.ed, nil)
	for _, document := range []string{
		jwks(rsa, ed), jwks(jwk(f, k.p256, kid("b")), jwk(f, k.p384, kid("c")), jwk(f, k.weakRSA, nil), rsa, rsa),
		`{"keys":[{"kty":"oct","k":"AA"},null,7,{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`, `{"keys":[]}`, `{"KEYS":[{}]}`, `[]`, `{"keys":[` + ed,
	} {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		table, skips, outcome := readKeySet(document)
		if (outcome == RefreshChanged) != (table != nil) || table == nil && outcome != RefreshEmpty && outcome != RefreshMalformed {
			t.Fatalf("%v, table %v", outcome, table != nil)
		}
		if table == nil {
			return
		}
		if table.size == 0 || table.size > maxFetchedKeys || len(table.named) > table.size {
			t.Fatalf("%d keys, %d of them with a kid, without %q", table.size, len(table.named), skips)
		}
		for name, key := range table.named {
			if f, err := familyOfKey(key.keys.Keys[0]); err != nil || f != name.family || f == familyHMAC || name.id == "" {
				t.Fatalf("%+v: %v, %v", name, f, err)
			}
		}
		for algorithm, set := range table.unnamed {
			f, _ := familyOfAlgorithm(algorithm)
			for _, key := range set.Keys {
				if got, err := familyOfKey(key); err != nil || got != f || len(set.Keys) > maxPublicKeys {
					t.Fatalf("%s: %v, %v", algorithm, got, err)
				}
			}
		}
		if again, _, _ := readKeySet(document); again.print != table.print {
			t.Fatal("the same document makes another set")
		}
	})
}

// FuzzCacheControl: whatever an issuer says, it is asked between once a minute and once an hour.
func FuzzCacheControl(f *testing.F) {
	for _, value := range []string{"max-age=600", `public, MAX-AGE="1"`, "no-store", "max-age=", "=,=", "max-age=9e9", ""} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := lifetimeOf(http.Header{"Cache-Control": {value}}); d != 0 && (d < minRefresh || d > maxRefresh) {
			t.Fatalf("%q: %v", value, d)
		}
	})
}

package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// attack is one token that must not open a connection.
type attack struct {
	name  string
	token string
	want  Refusal
}

const plainHeader = `{"alg":"HS256","typ":"JWT"}`

// attacks lists what must be refused by a verifier that has every kind of key, wants the issuer "issuer" and
// the audience "roost", and grants 10 s of leeway.
func attacks(t testing.TB) []attack {
	return slices.Concat(formAttacks(t), keyAttacks(t), claimAttacks(t))
}

// fine are claims that the verifier of the attacks accepts.
var fine = fmt.Sprintf(`{"sub":"alice","exp":%d,"iss":"issuer","aud":"roost","rooms":["**"]}`, now.Unix()+60)

func formAttacks(t testing.TB) []attack {
	good := hs256(t, fine)
	dot := strings.LastIndexByte(good, '.')
	text, signature := good[:dot], good[dot+1:]
	signed := func(header, claims string) string { return forge(t, "HS256", testSecret, header, claims) }
	raw := func(header string) string {
		sum, err := jwt.SigningMethodHS256.Sign(header+"."+encode(fine), testSecret)
		if err != nil {
			t.Fatal(err)
		}
		return header + "." + encode(fine) + "." + base64.RawURLEncoding.EncodeToString(sum)
	}
	return []attack{
		{"empty", "", RefusedMalformed},
		{"one part", encode(plainHeader), RefusedMalformed},
		{"two parts", text, RefusedMalformed},
		{"four parts", good + ".AAAA", RefusedMalformed},
		{"five parts", good + ".AAAA.AAAA", RefusedMalformed},
		{"trailing dot", good + ".", RefusedMalformed},
		{"no header", "." + good[strings.IndexByte(good, '.')+1:], RefusedMalformed},
		{"no claims", encode(plainHeader) + ".." + signature, RefusedMalformed},
		{"8 KiB of dots", strings.Repeat(".", 8<<10), RefusedMalformed},
		{"16 KiB of dots", strings.Repeat(".", 16<<10), RefusedTooLong},
		{"100 KiB", good + strings.Repeat("A", 100<<10), RefusedTooLong},
		{"deep nesting", signed(plainHeader, `{"a":`+strings.Repeat("[", 2500)+strings.Repeat("]", 2500)+`}`), RefusedNoExpiry},
		{"padding", good + "=", RefusedMalformed},
		{"padded header", raw(base64.URLEncoding.EncodeToString([]byte(`{"alg":"HS256" }`))), RefusedMalformed},
		{"standard alphabet", text + "." + strings.Repeat("+/", 21) + "A", RefusedMalformed},
		{"line break in the signature", text + "." + signature[:9] + "\n" + signature[9:], RefusedMalformed},
		{"line break at the end", good + "\r\n", RefusedMalformed},
		{"space before", " " + good, RefusedMalformed},
		{"NUL", good + "\x00", RefusedMalformed},
		{"stray bits at the end", text + "." + signature[:len(signature)-1] + nextLetter(signature[len(signature)-1]), RefusedMalformed},
		{"header is no object", signed(`["HS256"]`, fine), RefusedMalformed},
		{"header is a string", signed(`"HS256"`, fine), RefusedMalformed},
		{"header is null", signed(`null`, fine), RefusedMalformed},
		{"header is no JSON", signed(`{"alg":"HS256"`, fine), RefusedMalformed},
		{"text after the header", signed(plainHeader+`{}`, fine), RefusedMalformed},
		{"alg twice", signed(`{"alg":"none","alg":"HS256"}`, fine), RefusedMalformed},
		{"alg twice, once escaped", signed(`{"alg":"HS256","al\u0067":"HS256"}`, fine), RefusedMalformed},
		{"claims are no object", signed(plainHeader, `[]`), RefusedMalformed},
		{"claims are null", signed(plainHeader, `null`), RefusedNoExpiry},
		{"claims are no JSON", signed(plainHeader, `sub=alice`), RefusedMalformed},
		{"sub twice", signed(plainHeader, `{"sub":"bob",`+fine[1:]), RefusedMalformed},
		{"exp twice", signed(plainHeader, `{"exp":1,`+fine[1:]), RefusedMalformed},
		{"rooms twice", signed(plainHeader, `{"rooms":[],`+fine[1:]), RefusedMalformed},
	}
}

// nextLetter changes the bits of a final base64url letter that no byte is made of.
func nextLetter(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

func keyAttacks(t testing.TB) []attack {
	k := keys()
	strip := func(token string) string { return token[:strings.LastIndexByte(token, '.')+1] }
	under := func(header string) string { return forge(t, "HS256", testSecret, header, fine) }
	rsaPEM := publicPEM(t, k.rsa)
	block, _ := pem.Decode(rsaPEM)
	ecPEM := publicPEM(t, k.p256)
	jwk := fmt.Sprintf(`{"kty":"RSA","n":"%s","e":"AQAB"}`, base64.RawURLEncoding.EncodeToString(k.rsa.N.Bytes()))
	asHMAC := func(key []byte) string { return forge(t, "HS256", key, plainHeader, fine) }
	replace := func(algorithm string, key any, change func(text string, signature []byte) []byte) string {
		token := forge(t, algorithm, key, `{"alg":"`+algorithm+`"}`, fine)
		dot := strings.LastIndexByte(token, '.')
		signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
		if err != nil {
			t.Fatal(err)
		}
		return token[:dot+1] + base64.RawURLEncoding.EncodeToString(change(token[:dot], signature))
	}
	constant := func(signature []byte) func(string, []byte) []byte {
		return func(string, []byte) []byte { return signature }
	}
	otherRSA := forge(t, "RS256", k.weakRSA, `{"alg":"RS256"}`, fine)
	list := []attack{
		{"no alg", under(`{"typ":"JWT"}`), RefusedAlgorithm},
		{"empty alg", under(`{"alg":""}`), RefusedAlgorithm},
		{"alg is a number", under(`{"alg":256}`), RefusedAlgorithm},
		{"alg is a list", under(`{"alg":["HS256"]}`), RefusedAlgorithm},
		{"alg is null", under(`{"alg":null}`), RefusedAlgorithm},
		{"alg in capitals only", under(`{"ALG":"HS256"}`), RefusedAlgorithm},
		{"alg in lower case", under(`{"alg":"hs256"}`), RefusedAlgorithm},
		{"alg with a space", under(`{"alg":"HS256 "}`), RefusedAlgorithm},
		{"algorithm not offered here", forge(t, "RS512", k.rsa, `{"alg":"RS512"}`, fine), RefusedAlgorithm},
		{"crit", under(`{"alg":"HS256","crit":["exp"],"exp":1}`), RefusedCritical},
		{"crit empty", under(`{"alg":"HS256","crit":[]}`), RefusedCritical},
		{"crit null", under(`{"alg":"HS256","crit":null}`), RefusedCritical},
		{"crit b64", under(`{"alg":"HS256","b64":false,"crit":["b64"]}`), RefusedCritical},
		{"empty signature", strip(hs256(t, fine)), RefusedSignature},
		{"empty signature, RS256", strip(forge(t, "RS256", k.rsa, `{"alg":"RS256"}`, fine)), RefusedSignature},
		{"other secret", forge(t, "HS256", []byte(strings.ToUpper(string(testSecret))), plainHeader, fine), RefusedSignature},
		{"HS384 sum under HS256", forge(t, "HS384", testSecret, plainHeader, fine), RefusedSignature},
		{"secret is the RSA key in PEM", asHMAC(rsaPEM), RefusedSignature},
		{"secret is the RSA key in DER", asHMAC(block.Bytes), RefusedSignature},
		{"secret is the RSA key as JWK", asHMAC([]byte(jwk)), RefusedSignature},
		{"secret is the RSA modulus", asHMAC(k.rsa.N.Bytes()), RefusedSignature},
		{"secret is the P-256 key in PEM", asHMAC(ecPEM), RefusedSignature},
		{"secret is the Ed25519 key", asHMAC(k.ed.Public().(ed25519.PublicKey)), RefusedSignature},
		{"other RSA key", otherRSA, RefusedSignature},
		{"other RSA key in jwk", forge(t, "RS256", k.weakRSA, `{"alg":"RS256","jwk":`+jwk+`}`, fine), RefusedSignature},
		{"RS256 signature under PS256", forge(t, "RS256", k.rsa, `{"alg":"PS256"}`, fine), RefusedSignature},
		{"RS256 with a zero before", replace("RS256", k.rsa, func(_ string, s []byte) []byte { return append([]byte{0}, s...) }), RefusedSignature},
		{"RS256 one byte short", replace("RS256", k.rsa, func(_ string, s []byte) []byte { return s[:len(s)-1] }), RefusedSignature},
		{"RS256 plus the modulus", replace("RS256", k.rsa, func(_ string, s []byte) []byte {
			return new(big.Int).Add(new(big.Int).SetBytes(s), k.rsa.N).Bytes()
		}), RefusedSignature},
		{"RS256 padded for encryption", replace("RS256", k.rsa, func(text string, _ []byte) []byte { return laxPadding(text, k.rsa) }), RefusedSignature},
		{"ES256 in DER", replace("ES256", k.p256, func(text string, _ []byte) []byte {
			sum := sha256.Sum256([]byte(text))
			der, err := ecdsa.SignASN1(rand.Reader, k.p256, sum[:])
			if err != nil {
				t.Fatal(err)
			}
			return der
		}), RefusedSignature},
		{"ES256 r = s = 0", replace("ES256", k.p256, constant(make([]byte, 64))), RefusedSignature},
		{"ES256 r = s = 0 in DER", replace("ES256", k.p256, constant(zeroDER(t))), RefusedSignature},
		{"ES256 r = s = order", replace("ES256", k.p256, constant(append(elliptic.P256().Params().N.Bytes(), elliptic.P256().Params().N.Bytes()...))), RefusedSignature},
		{"EdDSA all zero", replace("EdDSA", k.ed, constant(make([]byte, 64))), RefusedSignature},
		{"EdDSA of small order", replace("EdDSA", k.ed, constant(append([]byte{1}, make([]byte, 63)...))), RefusedSignature},
		{"EdDSA with S plus the order", replace("EdDSA", k.ed, func(_ string, s []byte) []byte { return addEdOrder(s) }), RefusedSignature},
		{"jku", forge(t, "RS256", k.weakRSA, `{"alg":"RS256","jku":"https://evil.example/jwks","x5u":"file:///etc/passwd","x5c":["AAAA"]}`, fine), RefusedSignature},
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", " none", "none\\u0000"} {
		header := `{"alg":"` + none + `"}`
		list = append(list,
			attack{"alg " + none, encode(header) + "." + encode(fine) + ".", RefusedAlgorithm},
			attack{"alg " + none + ", signed", under(header), RefusedAlgorithm})
	}
	return list
}

// laxPadding raises a type 2 (encryption) block, which a lax PKCS 1 check would take, to the private exponent.
func laxPadding(text string, key *rsa.PrivateKey) []byte {
	sum := sha256.Sum256([]byte(text))
	block := make([]byte, key.Size())
	for i := range block {
		block[i] = 0xFF
	}
	block[0], block[1] = 0, 2
	block[len(block)-33] = 0
	copy(block[len(block)-32:], sum[:])
	return new(big.Int).Exp(new(big.Int).SetBytes(block), key.D, key.N).FillBytes(make([]byte, key.Size()))
}

func zeroDER(t testing.TB) []byte {
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int), new(big.Int)})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// addEdOrder makes the other spelling of an Ed25519 signature, which RFC 8032 section 5.1.7 forbids.
func addEdOrder(signature []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	reversed := func(b []byte) []byte {
		r := make([]byte, len(b))
		for i := range b {
			r[len(b)-1-i] = b[i]
		}
		return r
	}
	s := new(big.Int).SetBytes(reversed(signature[32:]))
	return append(append([]byte(nil), signature[:32]...), reversed(s.Add(s, order).FillBytes(make([]byte, 32)))...)
}

func claimAttacks(t testing.TB) []attack {
	unix := now.Unix()
	rest := fmt.Sprintf(`"sub":"alice","exp":%d,"iss":"issuer","aud":"roost"`, unix+60)
	timed := func(times string) string { return `{"sub":"alice","iss":"issuer","aud":"roost"` + times + `}` }
	named := func(sub string) string { return fmt.Sprintf(`{"exp":%d,"iss":"issuer","aud":"roost"%s}`, unix+60, sub) }
	from := func(claims string) string { return fmt.Sprintf(`{"sub":"alice","exp":%d%s}`, unix+60, claims) }
	rooms := func(claims string) string { return `{` + rest + `,` + claims + `}` }
	var list []attack
	for _, c := range []struct {
		name, claims string
		want         Refusal
	}{
		{"expired", timed(fmt.Sprintf(`,"exp":%d`, unix-3600)), RefusedExpired},
		{"expired by the leeway exactly", timed(fmt.Sprintf(`,"exp":%d`, unix-10)), RefusedExpired},
		{"nbf ahead", timed(fmt.Sprintf(`,"exp":%d,"nbf":%d`, unix+99, unix+11)), RefusedNotYetValid},
		{"nbf ahead by a fraction", timed(fmt.Sprintf(`,"exp":%d,"nbf":%d.5`, unix+99, unix+11)), RefusedNotYetValid},
		{"iat ahead", timed(fmt.Sprintf(`,"exp":%d,"iat":%d`, unix+99, unix+11)), RefusedNotYetValid},
		{"no exp", timed(``), RefusedNoExpiry},
		{"exp null", timed(`,"exp":null`), RefusedNoExpiry},
		{"exp in capitals", timed(fmt.Sprintf(`,"EXP":%d`, unix+60)), RefusedNoExpiry},
		{"exp 1e300", timed(`,"exp":1e300`), RefusedBadTime},
		{"exp 1e999", timed(`,"exp":1e999`), RefusedBadTime},
		{"exp 1.9e9", timed(`,"exp":1.9e9`), RefusedBadTime},
		{"exp with a fraction", timed(fmt.Sprintf(`,"exp":%d.5`, unix+60)), RefusedBadTime},
		{"exp negative", timed(`,"exp":-1`), RefusedBadTime},
		{"exp zero", timed(`,"exp":0`), RefusedBadTime},
		{"exp minus zero", timed(`,"exp":-0`), RefusedBadTime},
		{"exp in milliseconds", timed(fmt.Sprintf(`,"exp":%d`, (unix+60)*1000)), RefusedBadTime},
		{"exp beyond int64", timed(`,"exp":9223372036854775808`), RefusedBadTime},
		{"exp is a string", timed(fmt.Sprintf(`,"exp":"%d"`, unix+60)), RefusedBadTime},
		{"exp is true", timed(`,"exp":true`), RefusedBadTime},
		{"exp is a list", timed(`,"exp":[1900000000]`), RefusedBadTime},
		{"nbf is a string", timed(fmt.Sprintf(`,"exp":%d,"nbf":"0"`, unix+60)), RefusedBadTime},
		{"nbf negative", timed(fmt.Sprintf(`,"exp":%d,"nbf":-1`, unix+60)), RefusedBadTime},
		{"iat 1e300", timed(fmt.Sprintf(`,"exp":%d,"iat":1e300`, unix+60)), RefusedBadTime},
		{"iss wrong", from(`,"iss":"issuer2","aud":"roost"`), RefusedIssuer},
		{"iss missing", from(`,"aud":"roost"`), RefusedIssuer},
		{"iss empty", from(`,"aud":"roost","iss":""`), RefusedIssuer},
		{"iss in other letters", from(`,"aud":"roost","iss":"Issuer"`), RefusedIssuer},
		{"iss is a list", from(`,"aud":"roost","iss":["issuer"]`), RefusedIssuer},
		{"aud wrong", from(`,"iss":"issuer","aud":"other"`), RefusedAudience},
		{"aud missing", from(`,"iss":"issuer"`), RefusedAudience},
		{"aud empty", from(`,"iss":"issuer","aud":""`), RefusedAudience},
		{"aud an empty list", from(`,"iss":"issuer","aud":[]`), RefusedAudience},
		{"aud a list of others", from(`,"iss":"issuer","aud":["a","b"]`), RefusedAudience},
		{"aud a list with a number", from(`,"iss":"issuer","aud":["roost",1]`), RefusedAudience},
		{"aud an object", from(`,"iss":"issuer","aud":{"roost":1}`), RefusedAudience},
		{"no sub", named(``), RefusedNoUser},
		{"sub empty", named(`,"sub":""`), RefusedNoUser},
		{"sub null", named(`,"sub":null`), RefusedNoUser},
		{"sub in capitals", named(`,"Sub":"alice"`), RefusedNoUser},
		{"sub a number", named(`,"sub":1`), RefusedBadUser},
		{"sub a list", named(`,"sub":["alice"]`), RefusedBadUser},
		{"sub of 129 bytes", named(`,"sub":"` + strings.Repeat("a", 129) + `"`), RefusedBadUser},
		{"sub with NUL", named(`,"sub":"a\u0000"`), RefusedBadUser},
		{"sub with a line break", named(`,"sub":"a\nb"`), RefusedBadUser},
		{"sub with DEL", named(`,"sub":"a\u007f"`), RefusedBadUser},
		{"sub with a C1 control", named(`,"sub":"a\u009b"`), RefusedBadUser},
		{"sub not UTF-8", named(",\"sub\":\"a\xff\""), RefusedBadUser},
		{"sub with half a surrogate", named(`,"sub":"a\ud800"`), RefusedBadUser},
		{"rooms a string", rooms(`"rooms":"chat"`), RefusedBadRooms},
		{"rooms an object", rooms(`"rooms":{"chat":true}`), RefusedBadRooms},
		{"rooms with a number", rooms(`"rooms":["chat",1]`), RefusedBadRooms},
		{"rooms with null", rooms(`"rooms":[null]`), RefusedBadRooms},
		{"rooms with an empty one", rooms(`"rooms":[""]`), RefusedBadRooms},
		{"rooms with 65", rooms(`"rooms":[` + strings.Repeat(`"a",`, 64) + `"a"]`), RefusedBadRooms},
		{"rooms_read with a space", rooms(`"rooms":["a"],"rooms_read":["a b"]`), RefusedBadRooms},
		{"rooms_read a number", rooms(`"rooms_read":7`), RefusedBadRooms},
	} {
		list = append(list, attack{c.name, hs256(t, c.claims), c.want})
	}
	return list
}

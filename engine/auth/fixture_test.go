package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// now is the moment at which the tests take place.
var now = time.Unix(1_800_000_000, 0)

var testSecret = []byte("0123456789abcdef-0123456789ABCDEF-secret-of-the-tests")

// keyring is one private key of each kind, made once a run: RSA keys are slow to find.
type keyring struct {
	rsa, weakRSA *rsa.PrivateKey
	p256, p384   *ecdsa.PrivateKey
	ed           ed25519.PrivateKey
}

var keys = sync.OnceValue(func() keyring {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var k keyring
	var err error
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.weakRSA, err = rsa.GenerateKey(rand.Reader, 1024)
	must(err)
	k.p256, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	k.p384, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(err)
	k.ed = ed25519.NewKeyFromSeed([]byte("seed of the tests, 32 bytes long"))
	return k
})

func publicPEM(t testing.TB, private crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func privatePEM(t testing.TB, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func certificatePEM(t testing.TB, private crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"},
		NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func join(files ...[]byte) (all []byte) {
	for _, file := range files {
		all = append(all, file...)
	}
	return all
}

func newVerifier(t testing.TB, o Options) *Verifier {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return now }
	}
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fullVerifier accepts every algorithm.
func fullVerifier(t testing.TB) *Verifier {
	k := keys()
	return newVerifier(t, Options{
		HMACSecret: testSecret,
		PublicKeys: join(publicPEM(t, k.rsa), publicPEM(t, k.p256), publicPEM(t, k.ed)),
	})
}

func encode(part string) string { return base64.RawURLEncoding.EncodeToString([]byte(part)) }

// forge signs any header over any claims, legal or not.
func forge(t testing.TB, algorithm string, key any, header, claims string) string {
	t.Helper()
	text := encode(header) + "." + encode(claims)
	signature, err := jwt.GetSigningMethod(algorithm).Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// hs256 signs claims with the tests' secret under a plain header.
func hs256(t testing.TB, claims string) string {
	t.Helper()
	return forge(t, "HS256", testSecret, `{"alg":"HS256","typ":"JWT"}`, claims)
}

// goodClaims are accepted by a Verifier without issuer and audience.
var goodClaims = fmt.Sprintf(`{"sub":"alice","exp":%d,"rooms":["chat.*"],"rooms_read":["news"]}`, now.Unix()+3600)

// signers are all algorithms with the key that belongs to each.
func signers() map[string]any {
	k := keys()
	return map[string]any{
		"HS256": testSecret, "HS384": testSecret, "HS512": testSecret,
		"RS256": k.rsa, "PS256": k.rsa, "ES256": k.p256, "EdDSA": k.ed,
	}
}

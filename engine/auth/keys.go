// Keys as they are configured, the checks they must pass, and which algorithms each may be used with.

package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// minSecretBytes is the output size of SHA-256, the least that RFC 7518 section 3.2 allows.
	minSecretBytes = 32
	// minSecretDistinct is how many different bytes a secret must have; random ones have far more.
	minSecretDistinct = 5
	// minRSABits and maxRSABits bound what a check is worth and what it costs.
	minRSABits, maxRSABits = 2048, 8192
	// maxPublicKeys bounds how many signatures one token may make this server check.
	maxPublicKeys = 8
)

// family is a kind of key; every algorithm belongs to one, so that no key ever serves two kinds of arithmetic
// (a public RSA key taken for an HMAC secret would let anybody sign).
type family string

const (
	familyHMAC    family = "HMAC"
	familyRSA     family = "RSA"
	familyP256    family = "P-256"
	familyEd25519 family = "Ed25519"
)

// algorithms is every algorithm that can be allowed, in the order in which they are listed to the operator.
// The first one of a family is what Mint signs with.
var algorithms = []struct {
	name   string
	family family
}{
	{"HS256", familyHMAC}, {"HS384", familyHMAC}, {"HS512", familyHMAC},
	{"RS256", familyRSA}, {"PS256", familyRSA},
	{"ES256", familyP256},
	{"EdDSA", familyEd25519},
}

// algorithmNames lists them for messages.
func algorithmNames() string {
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = a.name
	}
	return strings.Join(names, ", ")
}

// familyOfAlgorithm returns the family of a known algorithm.
func familyOfAlgorithm(name string) (family, bool) {
	for _, a := range algorithms {
		if a.name == name {
			return a.family, true
		}
	}
	return "", false
}

// wellKnownSecrets are long enough to pass and printed in tutorials.
var wellKnownSecrets = []string{
	"a-string-secret-at-least-256-bits-long",
	"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
}

// checkSecret says what is wrong with a secret. at is where it is configured: "auth", or an entry of
// auth.issuers; the same goes for the functions below.
func checkSecret(at string, secret []byte) error {
	const fix = "use at least 32 random bytes, for example from: openssl rand -hex 32"
	switch {
	case bytes.Contains(secret, []byte("-----BEGIN ")):
		return fmt.Errorf("%s.hmac_secret: this is a PEM file, not a shared secret; put a public key into %s.public_key_file instead", at, at)
	case len(secret) < minSecretBytes:
		return fmt.Errorf("%s.hmac_secret: %d bytes are too few to resist guessing; %s", at, len(secret), fix)
	case slices.Contains(wellKnownSecrets, string(bytes.TrimSpace(secret))):
		return fmt.Errorf("%s.hmac_secret: this is a published example; %s", at, fix)
	}
	var seen [256]bool
	distinct := 0
	for _, b := range secret {
		if !seen[b] {
			seen[b] = true
			distinct++
		}
	}
	if distinct < minSecretDistinct {
		return fmt.Errorf("%s.hmac_secret: only %d different bytes, which is easily guessed; %s", at, distinct, fix)
	}
	return nil
}

// parsePublicKeys reads every PEM block of file; text between blocks is skipped, as PEM allows. A certificate
// only lends its key: its dates and its issuer are not looked at.
func parsePublicKeys(at string, file []byte) ([]any, error) {
	var keys []any
	for rest := file; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if len(keys) == maxPublicKeys {
			return nil, fmt.Errorf("%s.public_key_file: more than %d keys; each token may be tried against all of them, so remove retired ones", at, maxPublicKeys)
		}
		key, err := parsePublicKey(block)
		if err != nil {
			return nil, fmt.Errorf("%s.public_key_file: PEM block %d: %w", at, len(keys)+1, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s.public_key_file: no PEM block found; it must hold -----BEGIN PUBLIC KEY----- (make one with: openssl pkey -in private.pem -pubout)", at)
	}
	return keys, nil
}

func parsePublicKey(block *pem.Block) (key any, err error) {
	switch {
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, fmt.Errorf("this is a private key, which only the issuer may have; store its public half instead: openssl pkey -in private.pem -pubout")
	case block.Type == "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = certificate.PublicKey
		}
	default:
		return nil, fmt.Errorf("%q is not a kind of block that holds a public key; use PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("damaged %s: %w; export it again with: openssl pkey -in private.pem -pubout", block.Type, err)
	}
	if _, err = familyOfKey(key); err != nil {
		return nil, err
	}
	return key, nil
}

// familyOfKey also refuses keys too weak, too expensive or of a kind that no algorithm here uses.
func familyOfKey(key any) (family, error) {
	switch key := key.(type) {
	case []byte:
		return familyHMAC, nil
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSABits || n > maxRSABits {
			return "", fmt.Errorf("an RSA key of %d bits is not accepted; use one of %d to %d bits", n, minRSABits, maxRSABits)
		}
		if key.E < 3 || key.E%2 == 0 {
			return "", fmt.Errorf("an RSA key with public exponent %d is not accepted; use 65537", key.E)
		}
		return familyRSA, nil
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return "", fmt.Errorf("an ECDSA key on %s is not accepted; use P-256 (ES256)", key.Curve.Params().Name)
		}
		return familyP256, nil
	case ed25519.PublicKey:
		return familyEd25519, nil
	}
	return "", fmt.Errorf("a key of type %T is not accepted; use RSA, ECDSA on P-256, or Ed25519", key)
}

// binding ties one allowed algorithm to the keys that it may be used with: keys of the configuration, or those
// of the right family that a KeySet holds when a token comes.
type binding struct {
	name   string
	family family
	hmac   bool
	keys   jwt.VerificationKeySet
	remote *KeySet // nil: keys
}

// bind checks the allowed algorithms against the keys at hand. Without names it allows what the keys can do;
// those of a KeySet may turn out to be of any public kind.
func bind(at string, names []string, keys []any, remote *KeySet) (map[string]*binding, error) {
	byFamily := make(map[family][]jwt.VerificationKey)
	for _, key := range keys {
		f, err := familyOfKey(key)
		if err != nil {
			return nil, err
		}
		byFamily[f] = append(byFamily[f], key)
	}
	fetched := func(f family) bool { return remote != nil && f != familyHMAC }
	if len(names) == 0 {
		for _, a := range algorithms {
			if len(byFamily[a.family]) > 0 || fetched(a.family) {
				names = append(names, a.name)
			}
		}
	}
	bindings := make(map[string]*binding, len(names))
	for _, name := range names {
		f, known := familyOfAlgorithm(name)
		if !known {
			return nil, fmt.Errorf("%s.algorithms: %q is not an algorithm of this server; use some of %s", at, name, algorithmNames())
		}
		b := &binding{name: name, family: f, hmac: f == familyHMAC}
		switch {
		case fetched(f):
			b.remote = remote
		case len(byFamily[f]) > 0:
			b.keys = jwt.VerificationKeySet{Keys: byFamily[f]}
		default:
			return nil, fmt.Errorf("%s.algorithms: %s needs %s, and none is configured; add it or remove the algorithm", at, name, whereFrom(at, f))
		}
		bindings[name] = b
	}
	return bindings, nil
}

func whereFrom(at string, f family) string {
	if f == familyHMAC {
		return "a secret in " + at + ".hmac_secret or " + at + ".hmac_secret_file"
	}
	return "a key of type " + string(f) + " in " + at + ".public_key_file or " + at + ".jwks_url"
}

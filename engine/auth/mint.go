// Signing development tokens, for `roost token mint` and for tests. A server never needs this.

package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Mint signs tokens with a secret or with a private key; exactly one must be set.
type Mint struct {
	HMACSecret    []byte
	PrivateKeyPEM []byte // PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY, not encrypted
	Algorithm     string // empty: HS256, RS256, ES256 or EdDSA, after the key
	KeyID         string // the header's kid, by which a KeySet finds the key; empty: left out
}

// Claims are what a token made by Mint says; fields left empty are left out.
type Claims struct {
	User      string
	Rooms     []string // patterns; join and publish
	RoomsRead []string // patterns; join only
	Issuer    string
	Audience  string
	Session   string // sid, for revoking all tokens of a session
	ID        string // jti, for revoking this token alone
	ExpiresAt time.Time
	NotBefore time.Time
}

// Token returns a signed token. It refuses the claims and keys that a Verifier would refuse, except that it
// does not look at the clock, so that an expired token can be made. Any goroutine; does not block.
func (m Mint) Token(c Claims) (string, error) {
	if refusal := checkUser(c.User); refusal != 0 {
		return "", errors.New(refusal.Explain())
	}
	if c.ExpiresAt.Unix() <= 0 || c.ExpiresAt.Unix() > maxSeconds {
		return "", errors.New("a token needs an expiry between 1970 and 9999")
	}
	if err := errors.Join(checkPatterns("rooms", c.Rooms), checkPatterns("rooms_read", c.RoomsRead)); err != nil {
		return "", err
	}
	key, err := m.key()
	if err != nil {
		return "", err
	}
	method, err := m.method(key)
	if err != nil {
		return "", err
	}
	document := jwt.MapClaims{"sub": c.User, "exp": c.ExpiresAt.Unix()}
	if len(c.Rooms) > 0 {
		document["rooms"] = c.Rooms
	}
	if len(c.RoomsRead) > 0 {
		document["rooms_read"] = c.RoomsRead
	}
	for name, text := range map[string]string{"iss": c.Issuer, "aud": c.Audience, "sid": c.Session, "jti": c.ID} {
		if text != "" {
			document[name] = text
		}
	}
	if !c.NotBefore.IsZero() {
		document["nbf"] = c.NotBefore.Unix()
	}
	token := jwt.NewWithClaims(method, document)
	if m.KeyID != "" {
		token.Header["kid"] = m.KeyID
	}
	return token.SignedString(key)
}

// key returns the secret or the parsed private key, checked like the keys of a Verifier.
func (m Mint) key() (any, error) {
	switch {
	case len(m.HMACSecret) > 0 && len(m.PrivateKeyPEM) > 0:
		return nil, errors.New("sign with a secret or with a private key, not with both")
	case len(m.HMACSecret) > 0:
		return m.HMACSecret, checkSecret("auth", m.HMACSecret)
	case len(m.PrivateKeyPEM) > 0:
		return parsePrivateKey(m.PrivateKeyPEM)
	}
	return nil, errors.New("signing needs auth.hmac_secret or a private key")
}

func (m Mint) method(key any) (jwt.SigningMethod, error) {
	f, err := familyOfSigner(key)
	if err != nil {
		return nil, err
	}
	name := m.Algorithm
	if name == "" {
		for _, a := range algorithms {
			if a.family == f {
				name = a.name
				break
			}
		}
	}
	wanted, known := familyOfAlgorithm(name)
	if !known {
		return nil, fmt.Errorf("algorithm %q is not one of this server; use one of %s", name, algorithmNames())
	}
	if wanted != f {
		return nil, fmt.Errorf("algorithm %s needs a key of type %s, this one is %s", name, wanted, f)
	}
	return jwt.GetSigningMethod(name), nil
}

// familyOfSigner is familyOfKey for the private half.
func familyOfSigner(key any) (family, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return familyOfKey(&key.PublicKey)
	case *ecdsa.PrivateKey:
		return familyOfKey(&key.PublicKey)
	case ed25519.PrivateKey:
		return familyEd25519, nil
	}
	return familyOfKey(key)
}

// parsePrivateKey reads the first private key of file, past the EC PARAMETERS that openssl writes before one.
func parsePrivateKey(file []byte) (any, error) {
	for rest := file; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("no unencrypted private key found; make one with: openssl genpkey -algorithm ed25519")
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the %s can't be read: %w", strings.ToLower(block.Type), err)
		}
		return key, nil
	}
}

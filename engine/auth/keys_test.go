package auth

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

func TestNewRefuses(t *testing.T) {
	k := keys()
	good := testSecret
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k.rsa)})
	for name, c := range map[string]struct {
		options Options
		says    []string
	}{
		"no key at all":            {Options{}, []string{"auth.mode", "auth.hmac_secret_file", "auth.public_key_file", "anonymous"}},
		"secret of 31 bytes":       {Options{HMACSecret: good[:31]}, []string{"auth.hmac_secret", "31 bytes", "openssl rand"}},
		"default secret":           {Options{HMACSecret: []byte("changeme")}, []string{"auth.hmac_secret", "8 bytes"}},
		"published secret":         {Options{HMACSecret: []byte("a-string-secret-at-least-256-bits-long\n")}, []string{"auth.hmac_secret", "published"}},
		"secret of one letter":     {Options{HMACSecret: bytes.Repeat([]byte("a"), 64)}, []string{"auth.hmac_secret", "only 1 different"}},
		"public key as secret":     {Options{HMACSecret: publicPEM(t, k.rsa)}, []string{"auth.hmac_secret", "auth.public_key_file"}},
		"RSA of 1024 bits":         {Options{PublicKeys: publicPEM(t, k.weakRSA)}, []string{"auth.public_key_file", "block 1", "1024 bits", "2048"}},
		"second key weak":          {Options{PublicKeys: join(publicPEM(t, k.ed), publicPEM(t, k.weakRSA))}, []string{"block 2", "1024 bits"}},
		"P-384":                    {Options{PublicKeys: publicPEM(t, k.p384)}, []string{"auth.public_key_file", "P-384", "P-256"}},
		"private key":              {Options{PublicKeys: privatePEM(t, k.p256)}, []string{"auth.public_key_file", "private key", "-pubout"}},
		"private RSA key":          {Options{PublicKeys: pkcs1}, []string{"private key", "-pubout"}},
		"other PEM block":          {Options{PublicKeys: []byte("-----BEGIN X-----\nAAAA\n-----END X-----\n")}, []string{`"X"`, "CERTIFICATE"}},
		"damaged key":              {Options{PublicKeys: []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")}, []string{"damaged", "-pubout"}},
		"no PEM":                   {Options{PublicKeys: []byte(`{"keys":[]}`)}, []string{"auth.public_key_file", "no PEM block"}},
		"nine keys":                {Options{PublicKeys: bytes.Repeat(publicPEM(t, k.ed), 9)}, []string{"more than 8"}},
		"unknown algorithm":        {Options{HMACSecret: good, Algorithms: []string{"HS265"}}, []string{"auth.algorithms", `"HS265"`, "HS256"}},
		"algorithm none":           {Options{HMACSecret: good, Algorithms: []string{"none"}}, []string{"auth.algorithms", `"none"`}},
		"algorithm without key":    {Options{HMACSecret: good, Algorithms: []string{"HS256", "ES256"}}, []string{"auth.algorithms", "ES256", "P-256", "auth.public_key_file"}},
		"HMAC without secret":      {Options{PublicKeys: publicPEM(t, k.rsa), Algorithms: []string{"HS256"}}, []string{"auth.algorithms", "HS256", "auth.hmac_secret"}},
		"negative leeway":          {Options{HMACSecret: good, Leeway: -time.Second}, []string{"auth.leeway"}},
		"leeway of an hour":        {Options{HMACSecret: good, Leeway: time.Hour}, []string{"auth.leeway", "30s"}},
		"negative token length":    {Options{HMACSecret: good, TokenBytes: -1}, []string{"-1 bytes"}},
		"negative cache":           {Options{HMACSecret: good, CacheEntries: -1}, []string{"cache of -1"}},
		"cache beyond all measure": {Options{HMACSecret: good, CacheEntries: 1 << 30}, []string{"cache of"}},
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
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "BEGIN RSA") {
				t.Errorf("%q is more than one line, or quotes a key", err)
			}
		})
	}
}

func TestAlgorithmsFollowTheKeys(t *testing.T) {
	k := keys()
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)})
	for name, c := range map[string]struct {
		options Options
		want    string
	}{
		"secret":        {Options{HMACSecret: testSecret}, "HS256, HS384, HS512"},
		"RSA":           {Options{PublicKeys: publicPEM(t, k.rsa)}, "PS256, RS256"},
		"RSA in PKCS 1": {Options{PublicKeys: pkcs1}, "PS256, RS256"},
		"P-256":         {Options{PublicKeys: publicPEM(t, k.p256)}, "ES256"},
		"Ed25519":       {Options{PublicKeys: publicPEM(t, k.ed)}, "EdDSA"},
		// The certificate has expired, which is no business of ours: it only carries the key.
		"certificate": {Options{PublicKeys: certificatePEM(t, k.p256)}, "ES256"},
		"text around": {Options{PublicKeys: join([]byte("key of the issuer\n"), publicPEM(t, k.ed), []byte("\nend\n"))}, "EdDSA"},
		"all":         {Options{HMACSecret: testSecret, PublicKeys: join(publicPEM(t, k.rsa), publicPEM(t, k.p256), publicPEM(t, k.ed))}, "ES256, EdDSA, HS256, HS384, HS512, PS256, RS256"},
		"narrowed":    {Options{PublicKeys: join(publicPEM(t, k.rsa), publicPEM(t, k.p256)), Algorithms: []string{"RS256"}}, "RS256"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := newVerifier(t, c.options).Algorithms(); got != c.want {
				t.Errorf("algorithms %s, want %s", got, c.want)
			}
		})
	}
}

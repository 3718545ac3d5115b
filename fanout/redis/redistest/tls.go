package redistest

// A server that wants TLS, with a certificate of its own authority.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// StartTLS starts a server with a second port that speaks TLS, and returns that address and the file that holds the
// authority's certificate. The certificate is for 127.0.0.1.
func StartTLS(t testing.TB, settings ...string) (s *Server, address, authority string) {
	t.Helper()
	needs(t, "redis-server", "redis-server")
	dir := t.TempDir()
	authority = filepath.Join(dir, "ca.pem")
	certificate, key := filepath.Join(dir, "redis.pem"), filepath.Join(dir, "redis.key")
	writeCertificates(t, authority, certificate, key)
	port := strconv.Itoa(freePort(t))
	s = Start(t, append([]string{"tls-port " + port, "tls-cert-file " + certificate, "tls-key-file " + key,
		"tls-ca-cert-file " + authority, "tls-auth-clients no"}, settings...)...)
	return s, net.JoinHostPort("127.0.0.1", port), authority
}

func writeCertificates(t testing.TB, authority, certificate, key string) {
	t.Helper()
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	}
	ca := template("test authority")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caKey := newKey(t)
	caBytes, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf := template("redis")
	leaf.IPAddresses, leaf.KeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leafKey := newKey(t)
	leafBytes, err := x509.CreateCertificate(rand.Reader, leaf, ca, leafKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{authority: {Type: "CERTIFICATE", Bytes: caBytes},
		certificate: {Type: "CERTIFICATE", Bytes: leafBytes}, key: {Type: "PRIVATE KEY", Bytes: keyBytes}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

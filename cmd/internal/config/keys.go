// Keys and secrets that are kept in files of their own. What a public key is worth is for package auth to say.

package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// readKeys reads the files that hold secrets and keys.
func (r *reader) readKeys() {
	r.readSecret("admin.key", &r.cfg.Admin.Key, r.cfg.Admin.KeyFile)
	r.readSigner("auth.", &r.cfg.Auth.Signer)
	for i := range r.cfg.Auth.Issuers {
		r.readSigner(entryKey(issuersKey, i)+".", &r.cfg.Auth.Issuers[i])
	}
}

// readSigner reads the files that s names; name is put before its keys.
func (r *reader) readSigner(name string, s *Signer) {
	r.readSecret(name+"hmac_secret", &s.HMACSecret, s.HMACSecretFile)
	if s.PublicKeyFile == "" {
		return
	}
	data, err := readFile(s.PublicKeyFile)
	if err == nil && len(data) == 0 {
		err = errors.New("is empty")
	} else if err != nil {
		err = fmt.Errorf("cannot be read: %w", err)
	}
	if err != nil {
		r.check(name+"public_key_file", quote(s.PublicKeyFile)+" "+err.Error(), "write the path of a PEM file")
		return
	}
	s.PublicKeyPEM = data
}

// readSecret fills the secret behind key from the file at path, which key_file names; "" leaves it alone.
func (r *reader) readSecret(key string, secret *Secret, path string) {
	if at := r.origins[key]; *secret != "" && at.Layer == FromFile {
		r.warnReadable(key, at.Name)
	}
	if path == "" {
		return
	}
	keyFile := key + "_file"
	if *secret != "" {
		r.check(keyFile, "is set together with "+key, "keep one of them")
		return
	}
	data, err := readFile(path)
	if err != nil {
		r.check(keyFile, quote(path)+" cannot be read: "+err.Error(), "write the path of a file with the secret in it")
		return
	}
	// Editors and echo put one line end there that nobody means.
	text, ended := strings.CutSuffix(string(data), "\n")
	if ended {
		text = strings.TrimSuffix(text, "\r")
	}
	if text == "" {
		r.check(keyFile, quote(path)+" is empty", "put a secret there: openssl rand -hex 32")
		return
	}
	*secret = Secret(text)
	r.origins[key] = Origin{Layer: FromKeyFile, Name: path}
	r.warnReadable(key, path)
}

// warnReadable warns when users beside owner and group may read the file that holds the secret of key.
func (r *reader) warnReadable(key, path string) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
		r.warn(key, "every user of this machine may read "+quote(path), "chmod o= "+path)
	}
}

// Keys and secrets that are kept in files of their own. What a public key is worth is for package auth to say.

package config

import (
	"os"
	"strings"
)

// readKeys reads the files that hold secrets and keys.
func (r *reader) readKeys() {
	r.readSecret("admin.key", &r.cfg.Admin.Key, r.cfg.Admin.KeyFile)
	r.readSecret("auth.hmac_secret", &r.cfg.Auth.HMACSecret, r.cfg.Auth.HMACSecretFile)
	if path := r.cfg.Auth.PublicKeyFile; path != "" {
		data, err := readFile(path)
		if err != nil {
			r.check("auth.public_key_file", quote(path)+" cannot be read: "+err.Error(), "write the path of a PEM file")
			return
		}
		if len(data) == 0 {
			r.check("auth.public_key_file", quote(path)+" is empty", "write the path of a PEM file")
			return
		}
		r.cfg.Auth.PublicKeyPEM = data
	}
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

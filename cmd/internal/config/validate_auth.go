// Rules about tokens: who may sign them, and where the keys to check them with come from.

package config

import (
	"fmt"
	"net/netip"
	"net/url"
)

const (
	issuersKey = "auth.issuers"
	// minSecretBytes is the size of SHA-256's output, the least RFC 7518 section 3.2 allows for HS256.
	minSecretBytes = 32
)

func (r *reader) validateAuth() {
	a := &r.cfg.Auth
	switch {
	case a.Mode == AuthAnonymous:
		r.warnUnused(a)
	case len(a.Issuers) > 0:
		r.refuseBesideIssuers(a)
		r.validateIssuers(a.Issuers)
	case !r.validateSigner("auth.", &a.Signer) && !r.broken[issuersKey]:
		r.check("auth.mode", "jwt has no key to check tokens with",
			"set auth.hmac_secret_file, auth.hmac_secret, auth.public_key_file or auth.jwks_url, or auth.mode: anonymous")
	}
}

// warnUnused warns of keys where no token is looked at.
func (r *reader) warnUnused(a *Auth) {
	rows := append(under("auth", a.sources()), setting{key: issuersKey, field: &a.Issuers})
	for i := range rows {
		key := rows[i].key
		if e := entriesOf(rows[i].field); e != nil && e.length() == 0 || !rows[i].given() || r.origins[key].Layer == FromKeyFile {
			continue
		}
		r.warn(key, "is not used while auth.mode is anonymous", "set auth.mode: jwt, or remove it")
	}
}

// refuseBesideIssuers refuses what would say of all issuers what each of them says for itself.
func (r *reader) refuseBesideIssuers(a *Auth) {
	rows := under("auth", a.Signer.settings())
	for i := range rows {
		if key := rows[i].key; rows[i].given() && r.origins[key].Layer != FromKeyFile {
			r.check(key, "has no place beside "+issuersKey, "move it into an entry of that list")
		}
	}
}

func (r *reader) validateIssuers(issuers []Signer) {
	names, secrets := map[string]string{}, map[Secret]string{}
	for i := range issuers {
		s, entry := &issuers[i], entryKey(issuersKey, i)
		if r.broken[entry] {
			continue
		}
		key := entry + ".issuer"
		if other, again := names[s.Issuer]; s.Issuer == "" {
			r.check(key, "is empty", entriesOf(&issuers).missing)
		} else if again {
			r.check(key, quote(s.Issuer)+" is that of "+other+" too", "write each issuer once")
		} else {
			names[s.Issuer] = entry
		}
		if !r.validateSigner(entry+".", s) {
			r.check(entry, "has no key to check tokens with", "set its hmac_secret_file, public_key_file or jwks_url")
		}
		if other, again := secrets[s.HMACSecret]; again && s.HMACSecret != "" {
			r.warn(entry+".hmac_secret", "is that of "+other+" too, and whoever knows it can sign for both", "give each issuer a secret of its own")
		}
		secrets[s.HMACSecret] = entry
	}
}

// validateSigner checks where the keys of s come from and reports whether there are any; name is put before its keys.
func (r *reader) validateSigner(name string, s *Signer) bool {
	found := false
	for _, row := range s.sources() {
		found = found || row.given() || r.broken[name+row.key]
	}
	if bad := checkKeySetURL(s.JWKSURL); bad != nil && s.JWKSURL != "" {
		r.check(name+"jwks_url", bad.wrong, bad.fix)
	}
	if s.PublicKeyFile != "" && s.JWKSURL != "" {
		r.check(name+"public_key_file", "is set together with "+name+"jwks_url, from where all public keys come", "keep one of them")
	}
	if n := len(s.HMACSecret); n > 0 && n < minSecretBytes {
		r.check(name+"hmac_secret", fmt.Sprintf("has %d bytes, fewer than %d", n, minSecretBytes), "make one with: openssl rand -hex 32")
	}
	return found
}

// checkKeySetURL takes addresses that nobody on the way can answer for: of https, or of this machine. Its faults do
// not repeat the address, which may hold a password that does not belong there.
func checkKeySetURL(address URL) *fault {
	const example = "write one such as https://login.example.com/.well-known/jwks.json"
	u, err := url.Parse(string(address))
	switch {
	case err != nil || u.Hostname() == "":
		return &fault{"is not an address", example}
	case u.User != nil:
		return &fault{"holds a user or a password, which would show in logs", "leave them out, a key set is public"}
	case u.Scheme == "https", u.Scheme == "http" && isThisMachine(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return &fault{"is plain http to another machine, and whoever can change the answer can sign any token", "write https"}
	}
	return &fault{"is not an https address", example}
}

// isThisMachine reports whether host is a loopback address, or localhost; no other name is looked up.
func isThisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

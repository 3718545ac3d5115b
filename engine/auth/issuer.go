// Issuers: who may sign tokens for this server, each with keys, algorithms and an audience of its own.

package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// Issuer is one of several whose tokens are accepted. A token's iss claim selects among them before its signature
// is checked, by equality and nothing else; the signature is then checked with the keys of that issuer alone.
//
// Users are told apart by sub alone, so every issuer on the list is trusted to name any user.
type Issuer struct {
	Name       string // the iss claim of its tokens
	Audience   string // as in Options, like the rest
	HMACSecret []byte // not that of another issuer, who could then sign for this one
	PublicKeys []byte
	KeySet     *KeySet // may serve several issuers
	Algorithms []string
}

// claimsScratch holds the decoded claims of a usual token while its issuer is looked for.
const claimsScratch = 1 << 10

// issuer is an Issuer that has been checked. Static after New.
type issuer struct {
	at       string // where it is configured: "auth", or an entry of auth.issuers
	name     string // "": not checked, which only an issuer that is alone may have
	audience string
	bindings map[string]*binding
	parser   *jwt.Parser
}

// newIssuer checks one issuer; options are what all of them check alike.
func newIssuer(at string, i Issuer, options []jwt.ParserOption) (*issuer, error) {
	var keys []any
	if len(i.HMACSecret) > 0 {
		if err := checkSecret(at, i.HMACSecret); err != nil {
			return nil, err
		}
		keys = append(keys, slices.Clone(i.HMACSecret))
	}
	if len(i.PublicKeys) > 0 {
		if i.KeySet != nil {
			return nil, fmt.Errorf("%s.public_key_file: has no effect beside %s.jwks_url, from where all public keys come; remove one of them", at, at)
		}
		public, err := parsePublicKeys(at, i.PublicKeys)
		if err != nil {
			return nil, err
		}
		keys = append(keys, public...)
	}
	if len(keys) == 0 && i.KeySet == nil {
		if at == "auth" {
			return nil, errors.New("auth.mode: jwt needs a key to check tokens with; set auth.hmac_secret_file, auth.public_key_file or auth.jwks_url, or auth.mode: anonymous to let everybody in")
		}
		return nil, fmt.Errorf("%s: no key to check tokens with; set its hmac_secret_file, public_key_file or jwks_url", at)
	}
	bindings, err := bind(at, i.Algorithms, keys, i.KeySet)
	if err != nil {
		return nil, err
	}
	options = append(slices.Clone(options), jwt.WithValidMethods(slices.Sorted(maps.Keys(bindings))))
	if i.Name != "" {
		options = append(options, jwt.WithIssuer(i.Name))
	}
	if i.Audience != "" {
		options = append(options, jwt.WithAudience(i.Audience))
	}
	return &issuer{at: at, name: i.Name, audience: i.Audience, bindings: bindings, parser: jwt.NewParser(options...)}, nil
}

// issuersOf checks the issuer that stands in the options themselves, or else those of their list.
func issuersOf(o Options, options []jwt.ParserOption) (map[string]*issuer, error) {
	if len(o.Issuers) == 0 {
		only, err := newIssuer("auth", Issuer{
			Name: o.Issuer, Audience: o.Audience, HMACSecret: o.HMACSecret, PublicKeys: o.PublicKeys,
			KeySet: o.KeySet, Algorithms: o.Algorithms,
		}, options)
		if err != nil {
			return nil, err
		}
		return map[string]*issuer{only.name: only}, nil
	}
	if o.Issuer != "" || o.Audience != "" || len(o.HMACSecret) > 0 || len(o.PublicKeys) > 0 || o.KeySet != nil || len(o.Algorithms) > 0 {
		return nil, errors.New("auth.issuers: takes the place of auth.issuer, auth.audience, auth.algorithms and the keys in auth; move them into an entry of the list")
	}
	issuers := make(map[string]*issuer, len(o.Issuers))
	for n, i := range o.Issuers {
		at := fmt.Sprintf("auth.issuers[%d]", n)
		if i.Name == "" {
			return nil, fmt.Errorf("%s.issuer: is missing; write the iss claim of this issuer's tokens, by which they are told from the others'", at)
		}
		if other := issuers[i.Name]; other != nil {
			return nil, fmt.Errorf("%s.issuer: %q is that of %s too; write each issuer once", at, i.Name, other.at)
		}
		ready, err := newIssuer(at, i, options)
		if err != nil {
			return nil, err
		}
		issuers[i.Name] = ready
	}
	return issuers, nil
}

// issuerOf finds the issuer that a token's claims part names. What it reads there nobody has signed yet: it does
// nothing but select an entry, whose parser then holds the claim against the entry's name once more.
func (v *Verifier) issuerOf(part []byte) (*issuer, Refusal) {
	if v.only != nil {
		return v.only, 0
	}
	var scratch [claimsScratch]byte
	document, err := base64url.AppendDecode(scratch[:0], part)
	if err != nil || !json.Valid(document) {
		return nil, RefusedMalformed
	}
	walk, _ := membersOf(document)
	for {
		name, value, left, more := walk.next()
		if !more {
			return nil, RefusedIssuer
		}
		walk = left
		if string(name) != "iss" {
			continue
		}
		text, _ := unquoted(value)
		if i := v.issuers[string(text)]; i != nil {
			return i, 0
		}
		return nil, RefusedIssuer
	}
}

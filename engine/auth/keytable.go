// A key set (RFC 7517) as it was fetched, made ready for looking keys up.

package auth

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// maxFetchedKeys bounds one set. Large issuers publish about ten.
const maxFetchedKeys = 100

// keyName finds a key. RFC 7517 section 4.5 lets keys of different kinds share a kid.
type keyName struct {
	id     string
	family family
}

// fetchedKey is one key of a set.
type fetchedKey struct {
	algorithm string // the only one it may be used with; "": all of its family
	keys      jwt.VerificationKeySet
}

// keyTable is the usable part of a key set. It is immutable but for retired, which the cache of tokens holds on
// to on its own, so that a replaced table can go.
type keyTable struct {
	named   map[keyName]fetchedKey
	unnamed map[string]jwt.VerificationKeySet // by algorithm: what a token without a kid is tried with
	size    int
	print   [sha256.Size]byte // equal for equal keys, in whatever order they came
	retired *atomic.Bool
}

// tableBuilder gathers the keys of a set.
type tableBuilder struct {
	table *keyTable
	lines [][]byte // what print is made of
	skips Skips
}

// readKeySet makes a table of a document. It fails, with no table, only if not a single key is of use: one key
// that this server can't read must not shut out the users of the others.
func readKeySet(document []byte) (*keyTable, Skips, Refresh) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(document, &set) != nil || set.Keys == nil {
		return nil, Skips{}, RefreshMalformed
	}
	b := tableBuilder{table: &keyTable{
		named:   make(map[keyName]fetchedKey),
		unnamed: make(map[string]jwt.VerificationKeySet),
		retired: new(atomic.Bool),
	}}
	for _, entry := range *set.Keys {
		if b.table.size == maxFetchedKeys {
			b.skips[SkipExcess]++
			continue
		}
		b.add(entry)
	}
	if b.table.size == 0 {
		return nil, b.skips, RefreshEmpty
	}
	slices.SortFunc(b.lines, bytes.Compare)
	b.table.print = sha256.Sum256(bytes.Join(b.lines, []byte("\n")))
	return b.table, b.skips, RefreshChanged
}

// add puts one JSON Web Key into the table, or counts why not.
func (b *tableBuilder) add(entry json.RawMessage) {
	var described jwkset.JWKMarshal
	if json.Unmarshal(entry, &described) != nil {
		b.skips[SkipMalformed]++
		return
	}
	key, f, why, ok := readKey(&described)
	if !ok {
		b.skips[why]++
		return
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		b.skips[SkipMalformed]++
		return
	}
	algorithm := string(described.ALG)
	if described.KID != "" {
		name := keyName{described.KID, f}
		if _, taken := b.table.named[name]; taken {
			b.skips[SkipDuplicate]++
			return
		}
		b.table.named[name] = fetchedKey{algorithm, jwt.VerificationKeySet{Keys: []jwt.VerificationKey{key}}}
	}
	for _, a := range algorithms {
		if set := b.table.unnamed[a.name]; a.family == f && (algorithm == "" || algorithm == a.name) && len(set.Keys) < maxPublicKeys {
			b.table.unnamed[a.name] = jwt.VerificationKeySet{Keys: append(set.Keys, key)}
		}
	}
	b.table.size++
	b.lines = append(b.lines, slices.Concat([]byte(strconv.Quote(described.KID)+" "+algorithm+" "), der))
}

// readKey makes a public key of its description. If that does not work it says why.
func readKey(d *jwkset.JWKMarshal) (key any, f family, why Skip, ok bool) {
	wanted, known := familyOfAlgorithm(string(d.ALG))
	switch {
	case d.KTY == "":
		return nil, "", SkipMalformed, false
	case d.KTY == jwkset.KtyOct || d.K != "":
		return nil, "", SkipSymmetric, false
	case d.D != "":
		return nil, "", SkipPrivate, false
	case d.USE != "" && d.USE != jwkset.UseSig, len(d.KEYOPS) > 0 && !slices.Contains(d.KEYOPS, jwkset.KeyOpsVerify):
		return nil, "", SkipUse, false
	case d.ALG != "" && !known:
		return nil, "", SkipAlgorithm, false
	}
	// What a key says beside its numbers is not for the library to judge: it would refuse a good key for a
	// certificate that this server never looks at, or for an operation that is not registered.
	bare := jwkset.JWKMarshal{KTY: d.KTY, CRV: d.CRV, X: d.X, Y: d.Y, N: d.N, E: d.E}
	parsed, err := jwkset.NewJWKFromMarshal(bare, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	switch {
	case errors.Is(err, jwkset.ErrUnsupportedKey):
		return nil, "", SkipKind, false
	case err != nil:
		return nil, "", SkipMalformed, false
	}
	key = parsed.Key()
	if f, err = familyOfKey(key); err != nil {
		if _, isRSA := key.(*rsa.PublicKey); isRSA {
			return nil, "", SkipWeak, false
		}
		return nil, "", SkipKind, false
	}
	if d.ALG != "" && wanted != f {
		return nil, "", SkipAlgorithm, false
	}
	return key, f, 0, true
}

// find returns what the signature of a token with that header is tried with. The kid is nothing but a key of a
// map; a token without one is tried with the first keys of the right kind.
func (t *keyTable) find(h *header, b *binding) (jwt.VerificationKeySet, Refusal) {
	if len(h.keyID) == 0 {
		keys, ok := t.unnamed[b.name]
		if !ok {
			return keys, RefusedUnknownKey
		}
		return keys, 0
	}
	k, ok := t.named[keyName{string(h.keyID), b.family}]
	switch {
	case !ok:
		return k.keys, RefusedUnknownKey
	case k.algorithm != "" && k.algorithm != b.name:
		return jwt.VerificationKeySet{}, RefusedAlgorithm
	}
	return k.keys, 0
}

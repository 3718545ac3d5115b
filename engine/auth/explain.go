// Taking a token apart for a person, for `roost token explain`.

package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// maxIndented is where indenting stops to help: brackets nested a thousand deep grow to megabytes by it.
const maxIndented = 64 << 10

// Explanation is what there is to say about one token. It holds neither the token nor its signature.
type Explanation struct {
	Header   string   // indented JSON; empty if it can't be decoded
	Claims   string   // likewise, and not to be believed if Refusal is not 0
	Refusal  Refusal  // 0: accepted
	Verdict  string   // one sentence: what was found and what is wanted
	Identity Identity // zero if refused
}

// String lays the explanation out for a terminal, a few lines.
func (e Explanation) String() string {
	var b strings.Builder
	show := func(title, text string) {
		if text == "" {
			text = "(can't be decoded)"
		}
		fmt.Fprintf(&b, "%s: %s\n", title, text)
	}
	show("header", e.Header)
	if e.Refusal == 0 {
		show("claims", e.Claims)
	} else {
		show("claims (not trusted)", e.Claims)
	}
	fmt.Fprintf(&b, "verdict: %s\n", e.Verdict)
	return b.String()
}

// Explain checks a token as Verify does, without the cache, and says what it found. Any goroutine; as slow as
// Verify and not meant for a server's traffic.
func (v *Verifier) Explain(token string) Explanation {
	c, identity, refusal := v.check([]byte(token))
	e := Explanation{Refusal: refusal, Identity: identity}
	if len(token) <= v.tokenBytes {
		sections := strings.Split(token, ".")
		e.Header = decoded(sections[0])
		if len(sections) > 1 {
			e.Claims = decoded(sections[1])
		}
	}
	e.Verdict = "accepted: " + v.acceptance(c)
	if refusal != 0 {
		e.Verdict = "refused (" + refusal.String() + "): " + v.diagnosis(token, c, refusal)
	}
	return e
}

func (v *Verifier) acceptance(c *claims) string {
	left := time.Unix(c.expires, 0).Sub(v.now())
	return fmt.Sprintf("user %q until %s, in %v; may publish in %s, may also read %s",
		c.user, clock(c.expires), left.Round(time.Second), listed(c.rooms), listed(c.roomsRead))
}

// diagnosis says about this token what Refusal.Explain says about all.
func (v *Verifier) diagnosis(token string, c *claims, refusal Refusal) string {
	switch refusal {
	case RefusedTooLong:
		return fmt.Sprintf("it has %d bytes, at most %d are looked at", len(token), v.tokenBytes)
	case RefusedMalformed:
		return malformation(token)
	case RefusedAlgorithm:
		return v.algorithmDiagnosis(token, c)
	case RefusedSignature:
		if c.binding.hmac {
			return "the " + c.binding.name + " signature was not made with " + c.from.at + ".hmac_secret; compare the secrets, and whether the issuer decodes its secret from base64 or hex before use"
		}
		source := c.from.at + ".public_key_file"
		if c.table != nil {
			source = c.from.at + ".jwks_url"
		}
		return fmt.Sprintf("the %s signature was not made with the key of %s (%d tried)", c.binding.name, source, len(c.keys.Keys))
	case RefusedUnknownKey, RefusedNoKeys:
		return keyDiagnosis(token, c)
	case RefusedExpired:
		ago := v.now().Sub(time.Unix(c.expires, 0)).Round(time.Second)
		return fmt.Sprintf("it expired %v ago, at %s (auth.leeway is %v)", ago, clock(c.expires), v.leeway)
	case RefusedNotYetValid:
		claim, seconds := "nbf", c.notBefore
		if c.issued > seconds {
			claim, seconds = "iat", c.issued
		}
		ahead := time.Unix(seconds, 0).Sub(v.now()).Round(time.Second)
		return fmt.Sprintf("its %s is %v ahead, at %s (auth.leeway is %v); if it was made just now, the issuer's clock and this one differ", claim, ahead, clock(seconds), v.leeway)
	case RefusedIssuer:
		return v.issuerDiagnosis(token, c)
	case RefusedAudience:
		return fmt.Sprintf("its aud is %s, %s.audience wants %q", listed(c.audience), c.from.at, c.from.audience)
	case RefusedBadRooms:
		for _, err := range []error{checkPatterns("rooms", c.rooms), checkPatterns("rooms_read", c.roomsRead)} {
			if err != nil {
				return err.Error()
			}
		}
	}
	return refusal.Explain()
}

// malformation names the first thing that keeps a token from being taken apart.
func malformation(token string) string {
	sections := strings.Split(token, ".")
	switch {
	case strings.HasPrefix(token, "Bearer ") || strings.HasPrefix(token, "token."):
		return "leave out the word before the token itself"
	case strings.ContainsAny(token, " \t\r\n"):
		return "there is white space in it"
	case len(sections) != 3:
		return fmt.Sprintf("it has %d parts, a token has 3 (encrypted tokens, which have 5, are not supported)", len(sections))
	}
	for i, name := range []string{"header", "claims", "signature"} {
		document, err := base64url.DecodeString(sections[i])
		switch {
		case err != nil:
			return "its " + name + " is not strict base64url without padding"
		case i < 2 && !json.Valid(document):
			return "its " + name + " is not JSON"
		}
	}
	return RefusedMalformed.Explain()
}

func (v *Verifier) algorithmDiagnosis(token string, c *claims) string {
	part, _, _ := strings.Cut(token, ".")
	h, _ := readHeader([]byte(part), nil)
	who, allowed := "this server", v.Algorithms()
	switch {
	case c.table != nil:
		return fmt.Sprintf("its alg is %s, and the key of its kid %q is for another", orMissing(string(h.algorithm)), h.keyID)
	case c.from != nil:
		who, allowed = c.from.at, strings.Join(slices.Sorted(maps.Keys(c.from.bindings)), ", ")
	}
	return fmt.Sprintf("its alg is %s, %s allows %s", orMissing(string(h.algorithm)), who, allowed)
}

// issuerDiagnosis reads the claims again, since a token of nobody on a list was not parsed.
func (v *Verifier) issuerDiagnosis(token string, c *claims) string {
	if v.only != nil {
		return fmt.Sprintf("its iss is %s, auth.issuer wants %q", orMissing(c.issuer), v.only.name)
	}
	unread := newClaims()
	if document, err := base64url.DecodeString(strings.Split(token, ".")[1]); err != nil || unread.UnmarshalJSON(document) != nil {
		return RefusedMalformed.Explain()
	}
	return fmt.Sprintf("its iss is %s, auth.issuers has %s", orMissing(unread.issuer), listed(slices.Sorted(maps.Keys(v.issuers))))
}

// keyDiagnosis says how the key set stands that has no key for a token.
func keyDiagnosis(token string, c *claims) string {
	part, _, _ := strings.Cut(token, ".")
	h, _ := readHeader([]byte(part), nil)
	s := c.binding.remote.Status()
	state := fmt.Sprintf("has %d of use", s.Keys)
	if left := s.Skips.String(); left != "" {
		state += " and others that are not (" + left + ")"
	}
	if s.Last.Failed() {
		state += ", and the last attempt to fetch it ended with: " + s.Last.String()
	} else if s.Last == 0 {
		state += ", since it has not been fetched yet"
	}
	return fmt.Sprintf("its kid is %s and its alg is %s; of keys, %s.jwks_url %s", orMissing(string(h.keyID)), c.binding.name, c.from.at, state)
}

// decoded returns a part's JSON, indented and with nothing in it that could steer a terminal.
func decoded(part string) string {
	document, err := base64url.DecodeString(part)
	if err != nil {
		return ""
	}
	// A part that is no object may be anything, a signature in the wrong place for one.
	if _, ok := membersOf(document); !ok {
		return ""
	}
	var indented bytes.Buffer
	if json.Indent(&indented, document, "", "  ") != nil {
		return ""
	}
	text := indented.String()
	if len(text) > maxIndented {
		text = string(document)
	}
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) || r == '\n' {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

func clock(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }

func orMissing(value string) string {
	if value == "" {
		return "missing"
	}
	return strconv.Quote(value)
}

func listed(values []string) string {
	if len(values) == 0 {
		return "nothing"
	}
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = strconv.Quote(value)
	}
	return strings.Join(quoted, ", ")
}

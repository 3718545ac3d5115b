package config

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestIssuers(t *testing.T) {
	one, other := strings.Repeat("1", 32), strings.Repeat("2", 40)
	files := map[string]string{"hmac": other + "\n", "pem": "pem text"}
	const text = `[{issuer: "https://a", audience: chat, jwks_url: "https://a/keys", algorithms: [RS256, ES256]}, ` +
		`{issuer: b, hmac_secret_file: hmac}, {issuer: c, public_key_file: pem, hmac_secret: "11111111111111111111111111111111"}]`
	want := []Signer{
		{Issuer: "https://a", Audience: "chat", JWKSURL: "https://a/keys", Algorithms: []string{"RS256", "ES256"}},
		{Issuer: "b", HMACSecretFile: "hmac", HMACSecret: Secret(other)},
		{Issuer: "c", PublicKeyFile: "pem", PublicKeyPEM: []byte("pem text"), HMACSecret: Secret(one)},
	}
	for name, in := range map[string]input{
		"block": {file: "auth:\n  issuers:\n  - issuer: https://a\n    audience: chat\n    jwks_url: https://a/keys\n    algorithms: RS256, ES256\n" +
			"  - {issuer: b, hmac_secret_file: hmac}\n  - issuer: c\n    public_key_file: pem\n    hmac_secret: \"" + one + "\"\n"},
		"flow":           {file: "auth.issuers: " + text},
		"env":            {env: []string{"ROOST_AUTH_ISSUERS=" + text}},
		"flag":           {args: []string{"--auth.issuers", text}},
		"flag over file": {file: "auth.issuers: [{issuer: x, public_key_file: pem}]", args: []string{"--auth.issuers", text}},
	} {
		t.Run(name, func(t *testing.T) {
			in.files = files
			l, err := load(t, in)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Config.Auth.Issuers; !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, want %+v", got, want)
			}
			if at := l.Origin("auth.issuers[1].hmac_secret").String(); at != "read from hmac" {
				t.Errorf("origin %s", at)
			}
		})
	}
	t.Run("emptied by env", func(t *testing.T) {
		l, err := load(t, input{file: "auth.issuers: [{issuer: x}]" + secretLine, env: []string{"ROOST_AUTH_ISSUERS="}})
		if _, kept := l.origins["auth.issuers[0]"]; err != nil || kept || len(l.Config.Auth.Issuers) != 0 || l.Origin("auth.issuers").Layer != FromEnv {
			t.Errorf("%v from %v, %v", l.Config.Auth.Issuers, l.Origin("auth.issuers"), err)
		}
	})
}

func TestIssuerProblems(t *testing.T) {
	secret := strings.Repeat("s", 32)
	for _, c := range []struct{ name, file, want string }{
		{"no list", "auth: {issuers: {issuer: a}}", `roost.yaml:1: auth.issuers: is not a list; write issuers such as [{issuer: "https://login.example.com", public_key_file: login.pem}]`},
		{"no issuer", "auth.issuers: [a]", `roost.yaml:1: auth.issuers[0]: is not an issuer; write one such as {issuer: "https://login.example.com", public_key_file: login.pem}`},
		{"nothing", "auth.issuers: [{}]", "roost.yaml:1: auth.issuers[0].issuer: is missing; write the iss claim of this issuer's tokens, by which they are told from the others'\n" +
			"roost.yaml:1: auth.issuers[0]: has no key to check tokens with; set its hmac_secret_file, public_key_file or jwks_url"},
		{"no name", "auth.issuers:\n- public_key_file: pem", "roost.yaml:2: auth.issuers[0].issuer: is missing; write the iss claim of this issuer's tokens, by which they are told from the others'"},
		{"empty name", "auth.issuers:\n- public_key_file: pem\n  issuer: ''", "roost.yaml:3: auth.issuers[0].issuer: is empty; write the iss claim of this issuer's tokens, by which they are told from the others'"},
		{"null name", "auth.issuers:\n- public_key_file: pem\n  issuer:", "roost.yaml:3: auth.issuers[0].issuer: has no value; write one, or remove the line for the default"},
		{"no key", "auth.issuers:\n- issuer: a\n  public_key_file: pem\n- issuer: b", "roost.yaml:4: auth.issuers[1]: has no key to check tokens with; set its hmac_secret_file, public_key_file or jwks_url"},
		{"twice", "auth.issuers:\n- {issuer: a, public_key_file: pem}\n- {issuer: a, public_key_file: pem}", `roost.yaml:3: auth.issuers[1].issuer: "a" is that of auth.issuers[0] too; write each issuer once`},
		{"unknown key", "auth.issuers: [{issuer: a, public_key: pem, public_key_file: pem}]", "roost.yaml:1: auth.issuers[0].public_key: is not a setting; the nearest is public_key_file"},
		{"key of its section", "auth.issuers: [{issuer: a, leeway: 1s, public_key_file: pem}]", "roost.yaml:1: auth.issuers[0].leeway: is not a setting; the nearest is issuer"},
		{"bad algorithm", "auth.issuers: [{issuer: a, algorithms: none, public_key_file: pem}]",
			`roost.yaml:1: auth.issuers[0].algorithms: "none" is not a choice; write HS256, HS384, HS512, RS256, PS256, ES256 or EdDSA`},
		{"short secret", "auth.issuers:\n- issuer: a\n  hmac_secret: canary", "roost.yaml:3: auth.issuers[0].hmac_secret: has 6 bytes, fewer than 32; make one with: openssl rand -hex 32"},
		{"short secret file", "auth.issuers: [{issuer: a, hmac_secret_file: short}]", "short: auth.issuers[0].hmac_secret: has 6 bytes, fewer than 32; make one with: openssl rand -hex 32"},
		{"secret twice", "auth.issuers: [{issuer: a, hmac_secret: " + secret + ", hmac_secret_file: short}]", "roost.yaml:1: auth.issuers[0].hmac_secret_file: is set together with auth.issuers[0].hmac_secret; keep one of them"},
		{"missing file", "auth.issuers:\n- issuer: a\n  hmac_secret_file: no", `roost.yaml:3: auth.issuers[0].hmac_secret_file: "no" cannot be read: no such file or directory; write the path of a file with the secret in it`},
		{"missing key file", "auth.issuers:\n- issuer: a\n  public_key_file: no", `roost.yaml:3: auth.issuers[0].public_key_file: "no" cannot be read: no such file or directory; write the path of a PEM file`},
		{"empty key file", "auth.issuers: [{issuer: a, public_key_file: empty}]", `roost.yaml:1: auth.issuers[0].public_key_file: "empty" is empty; write the path of a PEM file`},
		{"file and address", "auth.issuers: [{issuer: a, public_key_file: pem, jwks_url: 'https://a/'}]", "roost.yaml:1: auth.issuers[0].public_key_file: is set together with auth.issuers[0].jwks_url, from where all public keys come; keep one of them"},
		{"secret and address", "auth.issuers: [{issuer: a, hmac_secret: " + secret + ", jwks_url: 'https://a/'}]", ""},
		{"address with a password", "auth.issuers: [{issuer: a, jwks_url: 'https://u:canary@a/'}]", "roost.yaml:1: auth.issuers[0].jwks_url: holds a user or a password, which would show in logs; leave them out, a key set is public"},
		{"beside a secret", "auth:\n  issuers: [{issuer: a, public_key_file: pem}]\n  hmac_secret: " + secret, "roost.yaml:3: auth.hmac_secret: has no place beside auth.issuers; move it into an entry of that list"},
		{"beside a secret file", "auth:\n  issuers: [{issuer: a, public_key_file: pem}]\n  hmac_secret_file: short", "roost.yaml:3: auth.hmac_secret_file: has no place beside auth.issuers; move it into an entry of that list"},
		{"beside all others", "auth: {issuers: [{issuer: a, public_key_file: pem}], issuer: a, audience: b, algorithms: [ES256], public_key_file: pem, jwks_url: 'https://a/'}",
			"roost.yaml:1: auth.issuer: has no place beside auth.issuers; move it into an entry of that list\n" +
				"roost.yaml:1: auth.audience: has no place beside auth.issuers; move it into an entry of that list\n" +
				"roost.yaml:1: auth.algorithms: has no place beside auth.issuers; move it into an entry of that list\n" +
				"roost.yaml:1: auth.public_key_file: has no place beside auth.issuers; move it into an entry of that list\n" +
				"roost.yaml:1: auth.jwks_url: has no place beside auth.issuers; move it into an entry of that list"},
		{"beside what is empty", "auth: {issuers: [{issuer: a, public_key_file: pem}], issuer: '', algorithms: [], hmac_secret: '', leeway: 1s}", ""},
		{"none", "auth: {issuers: []}" + secretLine, ""},
		{"none and nothing else", "auth: {mode: jwt, issuers: []}", "roost.yaml:1: auth.mode: jwt has no key to check tokens with; " +
			"set auth.hmac_secret_file, auth.hmac_secret, auth.public_key_file or auth.jwks_url, or auth.mode: anonymous"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, input{file: c.file, files: map[string]string{"pem": "text", "empty": "", "short": "canary"}})
			if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Error("an error shows a secret")
			}
		})
	}
}

func TestKeySetURL(t *testing.T) {
	for address, want := range map[string]string{
		"https://login.example.com/.well-known/jwks.json": "",
		"https://login.example.com:8443/keys?v=1":         "",
		"http://127.0.0.1:9000/keys":                      "",
		"http://127.9.9.9/keys":                           "",
		"http://[::1]:9000/keys":                          "",
		"http://localhost/keys":                           "",
		"http://login.example.com/keys":                   "is plain http to another machine, and whoever can change the answer can sign any token; write https",
		"http://localhost.example.com/keys":               "is plain http to another machine",
		"http://10.0.0.1/keys":                            "is plain http to another machine",
		"http://0.0.0.0/keys":                             "is plain http to another machine",
		"http://u:canary@127.0.0.1/keys":                  "holds a user or a password",
		"https://canary@h/keys":                           "holds a user or a password, which would show in logs; leave them out, a key set is public",
		"login.example.com/keys":                          "is not an address; write one such as https://login.example.com/.well-known/jwks.json",
		"https:///keys":                                   "is not an address",
		"https:login.example.com":                         "is not an address",
		"https://login.example.com:port/":                 "is not an address",
		"/etc/roost/keys.json":                            "is not an address",
		"ftp://login.example.com/keys":                    "is not an https address; write one such as https://",
		"HTTPS://login.example.com/keys":                  "",
	} {
		_, err := load(t, input{file: "auth.jwks_url: " + yamlString(address)})
		if want != "" {
			want = "roost.yaml:1: auth.jwks_url: " + want
		}
		if !says(err, want) || err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v\nwant %s", address, err, want)
		}
	}
	_, err := load(t, input{args: []string{"--auth.jwks_url=https://a/", "--auth.public_key_file=pem"}, files: map[string]string{"pem": "text"}})
	if !says(err, "flag --auth.public_key_file: auth.public_key_file: is set together with auth.jwks_url, from where all public keys come; keep one of them") {
		t.Error(err)
	}
}

func TestIssuerWarnings(t *testing.T) {
	secret := strings.Repeat("s", 32)
	for _, c := range []struct {
		name string
		in   input
		want []string
	}{
		{"not used", input{file: "auth: {mode: anonymous, issuers: [{issuer: a, hmac_secret: " + secret + "}], jwks_url: 'https://a/'}"},
			[]string{"roost.yaml:1: auth.jwks_url: is not used while auth.mode is anonymous; set auth.mode: jwt, or remove it",
				"roost.yaml:1: auth.issuers: is not used while auth.mode is anonymous; set auth.mode: jwt, or remove it"}},
		{"on the command line", input{args: []string{"--auth.issuers=[{issuer: a, hmac_secret: " + secret + "}]"}},
			[]string{"flag --auth.issuers: auth.issuers[0].hmac_secret: every user of this machine sees it in the process list; set auth.issuers[0].hmac_secret_file"}},
		{"a shared secret", input{env: []string{"ROOST_AUTH_ISSUERS=[{issuer: a, hmac_secret: " + secret + "}, {issuer: b, hmac_secret: " + secret + "}]"}},
			[]string{"env ROOST_AUTH_ISSUERS: auth.issuers[1].hmac_secret: is that of auth.issuers[0] too, and whoever knows it can sign for both; give each issuer a secret of its own"}},
		{"nothing", input{file: "auth.issuers: [{issuer: a, hmac_secret: " + secret + "}, {issuer: b, jwks_url: 'https://b/'}, {issuer: c, jwks_url: 'https://b/'}]"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := load(t, c.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := Problems(l.Warnings).Error(); got != strings.Join(c.want, "\n") {
				t.Errorf("%s\nwant %s", got, strings.Join(c.want, "\n"))
			}
		})
	}
	t.Run("readable by all", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if err := os.WriteFile("key", []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod("key", 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := Load(Options{Environ: []string{"ROOST_AUTH_ISSUERS=[{issuer: a, hmac_secret_file: key}]"}})
		if got := Problems(l.Warnings).Error(); err != nil || got != `key: auth.issuers[0].hmac_secret: every user of this machine may read "key"; chmod o= key` {
			t.Errorf("%s, %v", got, err)
		}
	})
}

func TestIssuersAreShownWithoutSecrets(t *testing.T) {
	l, err := load(t, input{
		file: "auth:\n  issuers:\n  - issuer: a\n    hmac_secret: " + strings.Repeat("canary", 6) + "\n" +
			"  - issuer: b\n    algorithms: [ES256]\n    jwks_url: https://b/keys?token=canary\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := l.WriteOrigins(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "canary") {
		t.Error("shows a secret")
	}
	for _, want := range []string{
		`auth.issuers[0] = {issuer: a, audience: "", algorithms: [], hmac_secret: (set, 36 bytes), hmac_secret_file: "", public_key_file: "", jwks_url: ""}  (file roost.yaml:3)` + "\n",
		`auth.issuers[1] = {issuer: b, audience: "", algorithms: [ES256], hmac_secret: "", hmac_secret_file: "", public_key_file: "", jwks_url: "https://b/keys?..."}  (file roost.yaml:5)` + "\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no line %s in\n%s", want, b.String())
		}
	}
}

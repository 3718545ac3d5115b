package config

import (
	"strings"
	"testing"
)

// secretLine makes jwt mode pass.
var secretLine = "\nauth.hmac_secret: " + strings.Repeat("s", 32)

func TestCrossRules(t *testing.T) {
	for _, c := range []struct {
		name, file string
		// err is part of the error, "" none.
		err string
	}{
		{"jwt with a secret", secretLine, ""},
		{"jwt without a key", "loops: 1", "auth.mode: jwt has no key to check tokens with; set auth.hmac_secret_file, auth.hmac_secret, auth.public_key_file or auth.jwks_url, or auth.mode: anonymous"},
		{"jwt written without a key", "\nauth.mode: jwt", "roost.yaml:2: auth.mode: jwt has no key"},
		{"short secret", "auth.hmac_secret: short", "roost.yaml:1: auth.hmac_secret: has 5 bytes, fewer than 32; make one with: openssl rand -hex 32"},
		{"secret twice", secretLine + "\nauth.hmac_secret_file: x", "roost.yaml:3: auth.hmac_secret_file: is set together with auth.hmac_secret; keep one of them"},
		{"admin key twice", "admin: {key: " + strings.Repeat("a", 32) + ", key_file: x}" + secretLine, "admin.key_file: is set together with admin.key; keep one of them"},
		{"admin key with a blank", `admin.key: "a key nobody can send"` + secretLine, "admin.key: holds a character no HTTP header can carry"},

		{"two ports", `listen: [":8080", ":8082"]` + secretLine, ""},
		{"any ports", `listen: [":0", ":0"]` + secretLine, ""},
		{"inherited", `listen: ["fd:3", "fd:4"]` + secretLine, ""},
		{"v6", `listen: ["[::1]:80", "0.0.0.0:80"]` + secretLine, ""},
		{"no address", "listen: []" + secretLine, "listen: is empty; write an address such as :8080"},
		{"same port", `listen: [":80", "127.0.0.1:80"]` + secretLine, `listen: "127.0.0.1:80" takes the same port as ":80" of listen; write another port, or remove one`},
		{"same descriptor", `listen: ["fd:3", "fd:3"]` + secretLine, "takes the same port"},
		{"same port as admin", `listen: ["0.0.0.0:8081"]` + secretLine, `admin.listen: "127.0.0.1:8081" takes the same port as "0.0.0.0:8081" of listen`},
		{"only a port", `listen: ["8080"]` + secretLine, `listen: "8080" is only a port; write :8080`},
		{"no port", `listen: ["::1"]` + secretLine, `listen: "::1" has no port; write [::1]:8080`},
		{"named port", `listen: [":http"]` + secretLine, `has no port number; write a port from 0 to 65535`},
		{"large port", `listen: [":65536"]` + secretLine, `has no port number`},
		{"url", `listen: ["http://a:80"]` + secretLine, `is not an address`},
		{"bad host", `listen: ["a b:80"]` + secretLine, `has a host that is neither`},
		{"standard input", `listen: ["fd:0"]` + secretLine, `is not an inherited descriptor; write fd:3 or higher`},
		{"admin inherited", `admin.listen: "fd:5"` + secretLine, `which only listen can be; write host:port`},

		{"node", "node: a/b" + secretLine, `node: "a/b" is not a node name`},
		{"outbound below message", "limits: {message_bytes: 1MiB}" + secretLine, "limits.outbound_bytes: 256KiB has no room for one message of limits.message_bytes (1MiB); write at least 1025KiB"},
		{"total below one", "limits: {outbound_bytes: 1GiB}" + secretLine, "limits.outbound_total: 256MiB is less than limits.outbound_bytes (1GiB), which one client may fill; write at least 1GiB"},
		{"proxy for nobody", "proxy.mode: require" + secretLine, "proxy.trusted: is empty"},
		{"no broker", "broker.url: redis" + secretLine, "broker.url: redis is not the address of a broker; write memory:, or"},
		{"other broker", "broker.url: https://host" + secretLine, "broker.url: https://host is not the address of a broker"},
		{"broker without host", "broker.url: nats://" + secretLine, "broker.url: nats:// is not the address of a broker"},
		{"drain at once", "drain: {grace: 0s, window: 0s}" + secretLine, ""},
		{"drain without reconnect", "drain: {reconnect_in: 0s}" + secretLine, "out of range; write 1s to 1h"},
		{"rule never reached", `rooms: [{match: "**"}, {match: a}]` + secretLine, "rooms[1].match: never applies, rooms[0] matches every room; move ** to the end"},
		{"rule twice", `rooms: [{match: a.*}, {match: b}, {match: a.*}]` + secretLine, "rooms[2].match: never applies, rooms[0] matches the same; merge the two"},
		{"rules", `rooms: [{match: a.*}, {match: a.**}, {match: "**"}]` + secretLine, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, input{file: c.file})
			if !says(err, c.err) {
				t.Errorf("%v\nwant %s", err, c.err)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one problem: %v", err)
			}
		})
	}
}

func TestUnavailable(t *testing.T) {
	for file, want := range map[string]string{
		"broker.url: nats://host:4222":                     "roost.yaml:1: broker.url: nats is not available in this version; write an address that begins with redis, rediss, redis+cluster, redis+sentinel, rediss+cluster or rediss+sentinel and ://",
		"broker.url: kafka://user:pass@host":               "roost.yaml:1: broker.url: kafka is not available in this version; write an address that begins with redis, rediss, redis+cluster, redis+sentinel, rediss+cluster or rediss+sentinel and ://",
		"broker.url: redis://user:pass@host:6379":          "",
		"broker.prefix: 'a{b}:'":                           `roost.yaml:1: broker.prefix: "a{b}:" is no prefix; write 1 to 64 of A-Z a-z 0-9 . _ ~ : -, such as roost:`,
		"broker.prefix: 'chat-eu:'":                        "",
		"broker.url: redis+cluster://a,b,c":                "",
		"broker.url: rediss+sentinel://a,b/master":         "",
		"history.size: 1":                                  "",
		"presence.events: true":                            "",
		"rooms: [{match: a}, {match: b, history.size: 1}]": "",
		"rate: {messages: 5, scope: user}":                 "",
		"limits: {connections_per_ip: 5}":                  "",
	} {
		_, err := load(t, input{file: file + "\nauth.mode: anonymous"})
		if !says(err, want) || err != nil && err.Error() != want {
			t.Errorf("%s: %v\nwant %s", file, err, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	long := strings.Repeat("s", 32)
	for _, c := range []struct {
		name string
		in   input
		want string
	}{
		{"nothing", input{}, ""},
		{"admin open without a key", input{file: "admin.listen: ':8081'"}, "roost.yaml:1: admin.listen: is not loopback and there is no admin.key, so /api/ answers nobody; set admin.key_file"},
		{"admin open with a key", input{file: "admin: {listen: ':8081', key: " + long + "}"}, ""},
		{"pprof open", input{file: "admin: {listen: ':8081', pprof: true, key: " + long + "}"}, "admin.pprof: profiles can be fetched by everyone who reaches :8081"},
		{"pprof on loopback", input{file: "admin: {pprof: true}"}, ""},
		{"guessable key", input{file: "admin: {key: admin}"}, "admin.key: 5 bytes can be guessed"},
		{"unused key", input{file: "auth: {hmac_secret: " + long + "}"}, "auth.hmac_secret: is not used while auth.mode is anonymous"},
		{"secret on the command line", input{args: []string{"--admin.key=" + long}}, "flag --admin.key: admin.key: every user of this machine sees it in the process list; set admin.key_file"},
		{"slow heartbeat", input{file: "heartbeat.interval: 60s"}, "heartbeat.interval: many proxies end a connection that is silent for 60s"},
		{"everybody trusted", input{file: "proxy.trusted: 0.0.0.0/0"}, "proxy.trusted: lets every client choose"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.env = append(c.in.env, anonymous)
			l, err := load(t, c.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := Problems(l.Warnings).Error(); c.want == "" && got != "" || !strings.Contains(got, c.want) || len(l.Warnings) > 1 {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestOrigins(t *testing.T) {
	for origin, want := range map[string]string{
		"*":                         "",
		"null":                      "",
		"https://example.com":       "",
		"https://example.com:8443":  "",
		"http://127.0.0.1:3000":     "",
		"http://[::1]:3000":         "",
		"https://*.example.com":     "",
		"https://*.example.com:444": "",
		"capacitor://localhost":     "",
		"chrome-extension://abcdef": "",
		"":                          "is not an origin",
		"example.com":               "write scheme and host, such as https://example.com",
		"*.example.com":             "write scheme and host, such as https://*.example.com",
		"https://":                  "is not an origin",
		"https://example.com/":      "write https://example.com",
		"https://example.com/app":   "is not an origin",
		"https://example.com?x":     "is not an origin",
		"https://example.com#x":     "is not an origin",
		"https://u@example.com":     "is not an origin",
		"https://exa mple.com":      "is not an origin",
		"https://example.com:port":  "is not an origin",
		"https://a.*.example.com":   "has a * that is not the first label",
		"https://*example.com":      "has a * that is not the first label",
		"https://*.*.example.com":   "has a * that is not the first label",
		"https://*.":                "is not an origin",
		"https://*":                 "has a * that is not the first label",
	} {
		var err error
		if bad := checkOrigin(origin); bad != nil {
			err = bad
		}
		if !says(err, want) {
			t.Errorf("%s: %v, want %q", origin, err, want)
		}
	}
	_, err := load(t, input{file: `origins: ["*", "https://a.example"]`, env: []string{anonymous}})
	if !says(err, "origins: holds * beside others, which then mean nothing; write * alone, or remove it") {
		t.Error(err)
	}
}

func TestPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"chat": "", "chat.*": "", "*": "", "**": "", "chat.**": "", "*.chat": "", "a.*.b.**": "", "a:b~c-d_e": "", "a..b": "",
		"":         "is empty",
		"chat*":    "has a * inside a segment",
		"***":      "has a * inside a segment",
		"**.chat":  "has ** before its end",
		"a.**.b":   "has ** before its end",
		"a b":      "has a character no room name has",
		"a/b":      "has a character no room name has",
		"a.\u00e9": "has a character no room name has",
	} {
		var err error
		if bad := checkPattern(pattern); bad != nil {
			err = bad
		}
		if !says(err, want) {
			t.Errorf("%q: %v, want %q", pattern, err, want)
		}
	}
}

func TestClashes(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{":80", ":80", true},
		{":80", ":81", false},
		{":80", "[::]:80", true},
		{"[::]:80", "127.0.0.1:80", true},
		{"0.0.0.0:80", "10.0.0.1:80", true},
		{"0.0.0.0:80", "[::1]:80", false},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"[::ffff:127.0.0.1]:80", "127.0.0.1:80", true},
		{"LOCALHOST:80", "localhost:80", true},
		{":0", ":0", false},
		{"fd:3", "fd:3", true},
		{"fd:3", ":80", false},
	} {
		a, bad1 := parseAddress(c.a)
		b, bad2 := parseAddress(c.b)
		if bad1 != nil || bad2 != nil || a.clashes(b) != c.want || b.clashes(a) != c.want {
			t.Errorf("%s and %s: %v %v, want %v", c.a, c.b, a.clashes(b), b.clashes(a), c.want)
		}
	}
}

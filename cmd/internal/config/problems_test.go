package config

import (
	"errors"
	"strings"
	"testing"
)

// TestFileProblems holds whole error texts: they are what users read.
func TestFileProblems(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"unknown key", "limits:\n  conections: 5", "roost.yaml:2: limits.conections: is not a setting; the nearest is limits.connections"},
		{"key without its section", "connections: 5", "roost.yaml:1: connections: is not a setting; the nearest is limits.connections"},
		{"unknown section", "limit:\n  connections: 5", "roost.yaml:1: limit: is not a setting; the nearest is limits.connections"},
		{"key with a line end", "\"a\\nb\": 5", `roost.yaml:1: "a\nb": is not a setting; the nearest is node`},
		{"twice", "loops: 1\nnode: a\nloops: 2", "roost.yaml:3: loops: is given twice, first on line 1; keep one of them"},
		{"section twice", "limits: {fragments: 1}\nlimits: {fragments: 2}", "roost.yaml:2: limits: is given twice, first on line 1; keep one of them"},
		{"nested and dotted", "limits:\n  fragments: 1\nlimits.fragments: 2", "roost.yaml:3: limits.fragments: is given twice, first on line 2; keep one of them"},
		{"value for a section", "limits: 5", "roost.yaml:1: limits: is a section, not a value; write settings such as limits.connections below it"},
		{"list for a section", "limits: [5]", "roost.yaml:1: limits: is a section, not a value; write settings such as limits.connections below it"},
		{"section for a value", "loops: {a: b}", "roost.yaml:1: loops: is a section; write a whole number such as 100"},
		{"list for a value", "loops: [1]", "roost.yaml:1: loops: is a list; write a whole number such as 100"},
		{"text for a number", "loops: many", `roost.yaml:1: loops: "many" is not a whole number; write a whole number such as 100`},
		{"number for a duration", "heartbeat:\n  timeout: 30", `roost.yaml:2: heartbeat.timeout: "30" has no unit; write 30s`},
		{"number for a choice", "slow_consumer: 1", `roost.yaml:1: slow_consumer: "1" is not a choice; write disconnect, drop_newest or keep_latest`},
		{"section in a list", "origins:\n  - {a: b}", "roost.yaml:1: origins: has an item that is not plain text; write a list such as [a, b]"},
		{"choice in a list", "auth.algorithms: [HS256, none]", `roost.yaml:1: auth.algorithms: "none" is not a choice; write HS256, HS384, HS512, RS256, PS256, ES256 or EdDSA`},
		{"no value", "loops:", "roost.yaml:1: loops: has no value; write one, or remove the line for the default"},
		{"null", "rooms: ~", "roost.yaml:1: rooms: has no value; write one, or remove the line for the default"},
		{"zero heartbeat", "heartbeat.interval: 0s", `roost.yaml:1: heartbeat.interval: "0s" is out of range; write 1s to 1h`},
		{"too much", "limits:\n\n  header_bytes: 1GiB", `roost.yaml:3: limits.header_bytes: "1GiB" is out of range; write 1KiB to 1MiB`},
		{"negative", "limits.connections: -1", `roost.yaml:1: limits.connections: "-1" is out of range; write 0 to 100000000`},
		{"bad list item", "proxy.trusted: [10.0.0.0/8, 10.0.0.1]", `roost.yaml:1: proxy.trusted: "10.0.0.1" is an address, not a network; write 10.0.0.1/32`},
		{"host bits", "proxy.trusted: 10.0.0.1/8", `roost.yaml:1: proxy.trusted: "10.0.0.1/8" has bits beyond its length; write 10.0.0.0/8`},
		{"no network", "proxy.trusted: lan", `roost.yaml:1: proxy.trusted: "lan" is not a network; write networks such as 10.0.0.0/8`},
		{"long value", "loops: " + strings.Repeat("x", 100), `roost.yaml:1: loops: "` + strings.Repeat("x", 40) + `"... is not a whole number; write a whole number such as 100`},
		{"secret in the wrong shape", "auth.hmac_secret: [canary]", "roost.yaml:1: auth.hmac_secret: is a list; write one value"},
		{"merge key", "<<: {loops: 1}", "roost.yaml:1: merge keys are not supported; write the settings out"},
		{"key that is a list", "? [a]\n: b", "roost.yaml:1: a key is not plain text; write key: value"},
		{"not a mapping", "- a", "roost.yaml:1: does not hold settings; write key: value"},
		{"second document", "loops: 1\n---\nloops: 2", "roost.yaml:2: is a second document; keep everything in one, without a line ---"},
		{"broken first line", "origins: *", "roost.yaml:1: is not YAML: did not find expected alphabetic or numeric character; " + yamlHint},
		{"tab", "limits:\n\tfragments: 1", "roost.yaml:2: is not YAML: found character that cannot start any token; " + yamlHint},
		{"broken later document", "loops: 1\n---\na: *", "roost.yaml:3: is not YAML: did not find expected alphabetic or numeric character; " + yamlHint},
		{"rooms is no list", "rooms: {match: a}", `roost.yaml:1: rooms: is not a list; write rules such as [{match: "chat.*", publish: members}]`},
		{"rule is no mapping", "rooms:\n- chat.*", `roost.yaml:2: rooms[0]: is not a rule; write one such as {match: "chat.*", publish: members}`},
		{"rule without match", "rooms:\n- match: a\n- publish: anyone", `roost.yaml:3: rooms[1].match: is missing; write which rooms the rule is for, such as match: "chat.*"`},
		{"unknown in a rule", "rooms:\n- match: a\n  slow: x", "roost.yaml:3: rooms[0].slow: is not a setting; the nearest is slow_consumer"},
		{"bad value in a rule", "rooms:\n- match: a\n  publish: nobody", `roost.yaml:3: rooms[0].publish: "nobody" is not a choice; write members, anyone or backend`},
		{"twice in a rule", "rooms:\n- match: a\n  presence: {events: false}\n  presence.events: false", "roost.yaml:4: rooms[0].presence.events: is given twice, first on line 3; keep one of them"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, input{file: c.file, env: []string{anonymous}})
			if err == nil || err.Error() != c.want {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

func TestOtherProblems(t *testing.T) {
	for _, c := range []struct {
		name string
		in   input
		want string
	}{
		{"unknown variable", input{env: []string{"ROOST_LIMITS_CONECTIONS=1"}}, "env ROOST_LIMITS_CONECTIONS: is not a setting; the nearest is ROOST_LIMITS_CONNECTIONS"},
		{"variable set by habit", input{env: []string{"ROOST_PORT=9000"}}, "env ROOST_PORT: is not a setting; the nearest is ROOST_NODE"},
		{"bad variable", input{env: []string{"ROOST_LOOPS="}}, `env ROOST_LOOPS: loops: "" is not a whole number; write a whole number such as 100`},
		{"bad flag", input{args: []string{"--loops=x"}}, `flag --loops: loops: "x" is not a whole number; write a whole number such as 100`},
		{"bad rooms", input{args: []string{"--rooms", "[{match: a, x: y}]"}}, "flag --rooms: rooms[0].x: is not a setting; the nearest is match"},
		{"broken rooms", input{env: []string{"ROOST_ROOMS=["}}, "env ROOST_ROOMS: is not YAML: did not find expected node content; " + yamlHint},
		{"twice in rooms", input{env: []string{"ROOST_ROOMS=[{match: a, match: b}]"}}, "env ROOST_ROOMS: rooms[0].match: is given twice; keep one of them"},
		{"no such file", input{args: []string{"--config=no.yaml"}}, `flag --config: "no.yaml" cannot be read: no such file or directory; write the path of a YAML file, roost gen config prints one`},
		{"no such file by variable", input{env: []string{"ROOST_CONFIG=no.yaml"}}, `env ROOST_CONFIG: "no.yaml" cannot be read: no such file or directory; write the path of a YAML file, roost gen config prints one`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.env = append(c.in.env, anonymous)
			_, err := load(t, c.in)
			if err == nil || err.Error() != c.want {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

// TestAllProblemsAtOnce checks that one load reports the mistakes of every layer, a line each, and that what is
// wrong already does not draw further complaints.
func TestAllProblemsAtOnce(t *testing.T) {
	l, err := load(t, input{
		file: "lop: 1\nloops: x\nlimits:\n  message_bytes: 1KB\n  outbound_bytes: 4KiB\nrooms: [{match: 'a*'}]\nauth.public_key_file: no",
		env:  []string{"ROOST_LOOP=3", "ROOST_NODE=a b"},
		args: []string{"--broker.url=nats://h"},
	})
	want := []string{"roost.yaml:1: lop:", "roost.yaml:2: loops:", "roost.yaml:4: limits.message_bytes:", "env ROOST_LOOP:",
		"roost.yaml:7: auth.public_key_file:", "env ROOST_NODE: node:", "flag --broker.url: broker.url:", "roost.yaml:6: rooms[0].match:"}
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != len(want) {
		t.Fatalf("%v", err)
	}
	for i, line := range strings.Split(err.Error(), "\n") {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("line %d is %s, want %s", i, line, want[i])
		}
	}
	if l == nil || l.Config.Limits.OutboundBytes != 4<<10 {
		t.Error("what could be read is not there for printing")
	}
}

// TestNoSecretInProblems writes secrets into places where they cause errors.
func TestNoSecretInProblems(t *testing.T) {
	_, err := load(t, input{
		file: "auth.hmac_secret: canary\nadmin.key: canary \u00e9\nauth.jwks_url: http://u:canary@h/\nbroker.url: redis:/u:canary@h",
		args: []string{"--auth.issuer=x"},
	})
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}

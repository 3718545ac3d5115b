package config

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// contractDefaults is the table of contract section 1: every key and its default, as written there. none and
// "same host" are empty, and what the contract derives from the machine is the value that asks for it.
var contractDefaults = map[string]any{
	"listen":                       []string{":8080"},
	"loops":                        0,
	"node":                         "",
	"admin.listen":                 "127.0.0.1:8081",
	"admin.key":                    Secret(""),
	"admin.key_file":               "",
	"admin.pprof":                  false, // contract section 5
	"auth.mode":                    "jwt",
	"auth.hmac_secret":             Secret(""),
	"auth.hmac_secret_file":        "",
	"auth.public_key_file":         "",
	"auth.jwks_url":                URL(""),
	"auth.algorithms":              []string(nil),
	"auth.issuer":                  "",
	"auth.audience":                "",
	"auth.issuers":                 []Signer{}, // beyond contract section 1
	"auth.leeway":                  10 * time.Second,
	"auth.query_token":             false,
	"auth.refuse":                  "http",
	"origins":                      []string(nil),
	"proxy.mode":                   "off",
	"proxy.trusted":                nil,
	"limits.connections":           0,
	"limits.connections_per_ip":    0,
	"limits.connections_per_user":  0,
	"limits.handshakes_per_second": 0.0,
	"limits.handshakes_per_ip":     0.0,     // these three are beyond contract section 1
	"limits.memory":                Size(0), // and README's reference says so
	"limits.max_age":               time.Duration(0),
	"limits.handshake_timeout":     5 * time.Second,
	"limits.header_bytes":          Size(16 << 10),
	"limits.message_bytes":         Size(64 << 10),
	"limits.fragments":             64,
	"limits.rooms_per_connection":  128,
	"limits.room_bytes":            128,
	"limits.outbound_bytes":        Size(256 << 10),
	"limits.outbound_stall":        10 * time.Second,
	"limits.outbound_total":        Size(256 << 20),
	"rate.messages":                1.0,
	"rate.burst":                   10,
	"rate.controls":                20.0,
	"rate.control_burst":           100,
	"rate.scope":                   "connection",
	"heartbeat.interval":           30 * time.Second,
	"heartbeat.timeout":            30 * time.Second,
	"slow_consumer":                "disconnect",
	"drain.grace":                  2 * time.Second,
	"drain.window":                 10 * time.Second,
	"drain.reconnect_in":           5 * time.Second,
	"compression.mode":             "off",
	"compression.threshold":        Size(256),
	"broker.url":                   URL("memory:"),
	"limits.check":                 "refuse",
	"broker.prefix":                "roost:",
	"broker.offline":               "local",
	"broker.linger":                10 * time.Second,
	"presence.ttl":                 60 * time.Second,
	"presence.events":              false,
	"history.size":                 0,
	"history.ttl":                  5 * time.Minute,
	"history.memory":               Size(256 << 20),
	"rooms":                        []RoomRule{},
	"log.level":                    "info",
	"log.format":                   "auto",
}

func TestContractDefaults(t *testing.T) {
	cfg := Default()
	table := cfg.settings()
	for key, want := range contractDefaults {
		s := lookup(table, key)
		if s == nil {
			t.Errorf("%s: no such setting", key)
			continue
		}
		got := reflect.ValueOf(s.field).Elem()
		if want == nil {
			if got.Len() != 0 {
				t.Errorf("%s: default %v, want none", key, got)
			}
		} else if !reflect.DeepEqual(got.Interface(), want) {
			t.Errorf("%s: default %v, want %v", key, got, want)
		}
	}
	for _, s := range table {
		if _, ok := contractDefaults[s.key]; !ok {
			t.Errorf("%s: not in the contract", s.key)
		}
	}
}

// withEntries lists all settings and, for each list of entries, those of one.
func withEntries(cfg *Config) []setting {
	all := cfg.settings()
	for _, s := range all {
		if e := entriesOf(s.field); e != nil {
			e.resize(1)
			all = append(all, e.table(0)...)
		}
	}
	return all
}

// TestRows checks what the code that reads the tables takes for granted.
func TestRows(t *testing.T) {
	var cfg Config
	keyForm := regexp.MustCompile(`^[a-z_]+(\.[a-z_]+)?$`)
	keys, variables, fields := map[string]bool{}, map[string]bool{}, map[any]string{}
	for _, s := range withEntries(&cfg) {
		t.Run(s.key, func(t *testing.T) {
			if !keyForm.MatchString(s.key) {
				t.Errorf("key is not section.name")
			}
			if other, twice := fields[s.field]; twice {
				t.Errorf("writes the same field as %s", other)
			}
			fields[s.field] = s.key
			if s.doc == "" || strings.ContainsAny(s.doc, "`\n") || strings.HasSuffix(s.doc, ".") {
				t.Errorf("doc %q: want text without backquotes, line ends and full stop", s.doc)
			}
			k := kindOf(s.field)
			if k.set == nil {
				if entriesOf(s.field) == nil {
					t.Fatalf("%T has no kind", s.field)
				}
				return
			}
			switch k.word {
			case "int", "number", "size", "duration":
				lo, hi, ok := strings.Cut(s.bounds, "..")
				if !ok {
					t.Fatalf("no bounds")
				}
				for _, bound := range []string{lo, hi} {
					if bad := s.read([]string{bound}); bad != nil {
						t.Errorf("bound %s: %v", bound, bad)
					}
				}
			default:
				if s.bounds != "" {
					t.Errorf("%s has bounds", k.word)
				}
			}
			if s.def != "" || s.words == nil && s.bounds == "" && k.word != "bool" {
				if bad := s.read(k.split(s.def)); bad != nil {
					t.Errorf("default: %v", bad)
				}
			}
		})
	}
	for _, s := range cfg.settings() {
		if keys[s.key] || variables[s.env()] {
			t.Errorf("%s: key or variable %s is not its own", s.key, s.env())
		}
		keys[s.key], variables[s.env()] = true, true
		if fromCluster(s.env(), "5") {
			t.Errorf("%s: would be taken for a variable of the cluster", s.env())
		}
	}
}

// TestEveryFieldHasARow finds fields that nothing can set.
func TestEveryFieldHasARow(t *testing.T) {
	var cfg Config
	rows := map[any]bool{}
	for _, s := range withEntries(&cfg) {
		rows[s.field] = true
	}
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		for i := range v.NumField() {
			field, name := v.Field(i), v.Type().Field(i).Name
			switch {
			case rows[field.Addr().Interface()] || name == "PublicKeyPEM":
			case field.Kind() == reflect.Struct:
				walk(field, path+name+".")
			default:
				t.Errorf("%s has no setting", path+name)
			}
		}
	}
	walk(reflect.ValueOf(&cfg).Elem(), "")
	walk(reflect.ValueOf(&cfg.Rooms[0]).Elem(), "RoomRule.")
	walk(reflect.ValueOf(&cfg.Auth.Issuers[0]).Elem(), "Signer.")
}

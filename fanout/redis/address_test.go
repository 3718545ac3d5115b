package redis_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/roost-ws/roost/fanout/redis"
)

func TestParseURL(t *testing.T) {
	for _, c := range []struct {
		url  string
		want redis.Address
	}{
		{"redis://localhost", redis.Address{Hosts: []string{"localhost:6379"}}},
		{"redis://10.0.0.1:7000/3", redis.Address{Hosts: []string{"10.0.0.1:7000"}, DB: 3}},
		{"redis://[::1]/", redis.Address{Hosts: []string{"[::1]:6379"}}},
		{"redis://[::1]:7000", redis.Address{Hosts: []string{"[::1]:7000"}}},
		{"redis://:s3cret@h", redis.Address{Hosts: []string{"h:6379"}, Password: "s3cret"}},
		{"redis://u:p%40%2F%3A@h:1", redis.Address{Hosts: []string{"h:1"}, Username: "u", Password: "p@/:"}},
		{"redis://u:p@a,b:7000,c", redis.Address{Mode: redis.Several, Hosts: []string{"a:6379", "b:7000", "c:6379"}, Username: "u", Password: "p"}},
		{"redis+sentinel://u:p@a,b:26380/main/2", redis.Address{Mode: redis.Sentinel, Hosts: []string{"a:26379", "b:26380"}, Username: "u", Password: "p", Master: "main", DB: 2}},
		{"redis+cluster://a,b", redis.Address{Mode: redis.Cluster, Hosts: []string{"a:6379", "b:6379"}}},
	} {
		t.Run(c.url, func(t *testing.T) {
			got, err := redis.ParseURL(c.url)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
	for url, mode := range map[string]redis.Mode{"rediss://h": redis.One, "rediss+sentinel://h/main": redis.Sentinel, "rediss+cluster://h": redis.Cluster} {
		if a, err := redis.ParseURL(url); err != nil || a.TLS == nil || a.TLS.InsecureSkipVerify || a.Mode != mode {
			t.Errorf("%s: %+v, %v", url, a, err)
		}
	}
}

// Each error says what to write, and none repeats the password.
func TestParseURLRefuses(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, says string }{
		{"", "does not begin"},
		{"s3cret", "does not begin"},
		{"http://u:s3cret@h", "does not begin"},
		{"REDIS://u:s3cret@h", "does not begin"},
		{"redis:/u:s3cret@h", "does not begin"},
		{"redis://", "names no host"},
		{"redis://u:s3cret@", "names no host"},
		{"redis://u:s3cret@a,", "names no host"},
		{"redis://u:s3cret@a,,b", "names no host"},
		{"redis://u:s3cret@a,a:6379", "named twice"},
		{"redis://u:s3cret@a:0", "not a host with a port"},
		{"redis://u:s3cret@a:99999", "not a host with a port"},
		{"redis://u:s3cret@a b", "not a host with a port"},
		{"redis://u:s3cret%zz@h", "percent-encode"},
		{"redis://u:s3cret/s3cret@h", "percent-encode"},
		{"redis://u:s3cret?x@h", "percent-encode"},
		{"redis://u:s3cret#x@h", "percent-encode"},
		{"redis://u:s3cret@h/x", "number of a database"},
		{"redis://u:s3cret@h/1/2", "number of a database"},
		{"redis://u:s3cret@h/-1", "number of a database"},
		{"redis+cluster://u:s3cret@h/1", "no numbered databases"},
		{"redis+sentinel://u:s3cret@h", "which master"},
		{"redis+sentinel://u:s3cret@h/main/x", "number of a database"},
		{"redis://u:s3cret@h?insecure=1", `option "insecure"`},
		{"redis://u:s3cret@h?ca=" + empty, "begin it with rediss"},
		{"rediss://u:s3cret@h?ca=" + filepath.Join(dir, "none"), "no such file"},
		{"rediss://u:s3cret@h?ca=" + empty, "no certificate"},
		{"redis://u:s3cret@h#x", "can't be read"},
	} {
		t.Run(c.url, func(t *testing.T) {
			_, err := redis.ParseURL(c.url)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want an error that says %q and no password", err, c.says)
			}
		})
	}
}

// A URL is an operator's, but nothing that is written may crash the program or give the password away.
func FuzzParseURL(f *testing.F) {
	for _, url := range []string{"redis://u:p@h,i:1/2?x", "redis+sentinel://h/m/1", "rediss://[::1]:1", "redis+cluster://a,b", "redis://@/?#"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		if strings.Contains(url, "ca=") {
			return // it would read a file
		}
		a, err := redis.ParseURL(url)
		if err == nil && len(a.Hosts) == 0 {
			t.Errorf("%q has no host and no error", url)
		}
	})
}

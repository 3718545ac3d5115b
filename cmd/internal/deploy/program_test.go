package deploy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// certificate writes a self-signed certificate and its key into one file.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	file := filepath.Join(t.TempDir(), "site.pem")
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// checked runs a program's own check over its file of each example. A warning is a failure: there is none today.
func checked(t *testing.T, p Program, check func(file string) *exec.Cmd) {
	if testing.Short() {
		t.Skip("starts a program from outside: not with -short")
	}
	if _, err := exec.LookPath(string(p)); err != nil {
		t.Fatalf("%s is not installed: run .ci/install (as root it installs Debian's), or test with -short", p)
	}
	site := certificate(t)
	for _, w := range examples {
		t.Run(w.name, func(t *testing.T) {
			c, o := w.options(p)
			o.Certificate = site
			text, _, err := Balancer(c, o)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			text = bytes.ReplaceAll(text, []byte("/var/log/nginx/"), []byte(dir+"/"))
			text = bytes.Replace(text, []byte("worker_processes auto;"), []byte("worker_processes auto;\npid "+dir+"/pid;"), 1)
			file := filepath.Join(dir, "file")
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			said, err := check(file).CombinedOutput()
			if err != nil || bytes.Contains(said, []byte("[WARNING]")) || bytes.Contains(said, []byte("[warn]")) {
				t.Errorf("%v\n%s\n%s", err, said, text)
			}
		})
	}
}

func TestHAProxyAccepts(t *testing.T) {
	checked(t, HAProxy, func(file string) *exec.Cmd { return exec.Command("haproxy", "-c", "-f", file) })
}

func TestNginxAccepts(t *testing.T) {
	checked(t, Nginx, func(file string) *exec.Cmd { return exec.Command("nginx", "-t", "-c", file) })
}

// TestEnvoyFile reads the file as YAML and looks for what matters, since there is no Envoy to ask.
func TestEnvoyFile(t *testing.T) {
	for _, w := range examples {
		t.Run(w.name, func(t *testing.T) {
			c, o := w.options(Envoy)
			text, _, err := Balancer(c, o)
			if err != nil {
				t.Fatal(err)
			}
			var file struct {
				StaticResources struct {
					Listeners []map[string]any
					Clusters  []envoyCluster
				} `yaml:"static_resources"`
			}
			if err := yaml.Unmarshal(text, &file); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			list := file.StaticResources
			if len(list.Listeners) != 1 || len(list.Clusters) != max(1, len(o.Sources)) {
				t.Fatalf("%d listeners, %d clusters", len(list.Listeners), len(list.Clusters))
			}
			for i, cluster := range list.Clusters {
				cluster.check(t, o)
				bound := cluster.Bind.Source.Address
				if len(o.Sources) > 0 && bound != o.Sources[i] || len(o.Sources) == 0 && bound != "" {
					t.Errorf("cluster %s comes from %q", cluster.Name, bound)
				}
			}
			for _, key := range []string{"upgrade_type: websocket", "codec_type: HTTP1", "alpn_protocols: [http/1.1]", "timeout: 0s",
				"stream_idle_timeout: ", "request_headers_timeout: ", "tls_minimum_protocol_version: TLSv1_2", "it has not been run"} {
				if !bytes.Contains(text, []byte(key)) {
					t.Errorf("%s is missing", key)
				}
			}
		})
	}
}

// envoyCluster is the part of a cluster that is looked at.
type envoyCluster struct {
	Name   string
	Policy string `yaml:"lb_policy"`
	Common struct {
		Panic struct{ Value *int } `yaml:"healthy_panic_threshold"`
		Hash  struct {
			Factor int `yaml:"hash_balance_factor"`
		} `yaml:"consistent_hashing_lb_config"`
	} `yaml:"common_lb_config"`
	Circuit struct {
		Thresholds []struct {
			Connections int `yaml:"max_connections"`
			Requests    int `yaml:"max_requests"`
		}
	} `yaml:"circuit_breakers"`
	Checks []struct {
		HTTP struct{ Path string } `yaml:"http_health_check"`
	} `yaml:"health_checks"`
	Transport struct {
		Config struct {
			Config struct{ Version string }
		} `yaml:"typed_config"`
	} `yaml:"transport_socket"`
	Bind struct {
		Source struct{ Address string } `yaml:"source_address"`
	} `yaml:"upstream_bind_config"`
	Assignment struct {
		Name      string `yaml:"cluster_name"`
		Endpoints []struct {
			Endpoints []any `yaml:"lb_endpoints"`
		}
	} `yaml:"load_assignment"`
}

func (c *envoyCluster) check(t *testing.T, o BalancerOptions) {
	t.Helper()
	hashed := o.Sticky != StickyNone
	if (c.Policy == "RING_HASH") != hashed || (c.Common.Hash.Factor > 100) != hashed {
		t.Errorf("%s by %s, bound %d", o.Sticky, c.Policy, c.Common.Hash.Factor)
	}
	if c.Common.Panic.Value == nil || *c.Common.Panic.Value != 0 {
		t.Error("a draining node may be given connections")
	}
	if th := c.Circuit.Thresholds; len(th) != 1 || th[0].Connections <= 50_000 || th[0].Requests != th[0].Connections {
		t.Errorf("circuit breakers %+v", th)
	}
	if len(c.Checks) != 1 || c.Checks[0].HTTP.Path != "/readyz" {
		t.Errorf("checks %+v", c.Checks)
	}
	if (c.Transport.Config.Config.Version == "V2") != o.ProxyProtocol {
		t.Errorf("transport %+v", c.Transport)
	}
	if c.Assignment.Name != c.Name || len(c.Assignment.Endpoints) != 1 || len(c.Assignment.Endpoints[0].Endpoints) == 0 {
		t.Errorf("assignment %+v", c.Assignment)
	}
}

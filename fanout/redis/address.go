package redis

// Where Redis is, as an operator writes it.

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Mode is how the servers of an [Address] belong together.
type Mode int

// The modes.
const (
	One      Mode = iota // one server
	Several              // several servers, each with its share of the rooms
	Sentinel             // a master that sentinels name
	Cluster              // a cluster
)

// Address is where Redis is and how to get in.
type Address struct {
	Mode Mode
	// Hosts are host:port: the servers, the sentinels, or some nodes of the cluster.
	Hosts []string
	// Username and Password are for the servers, not for the sentinels, which are asked without.
	Username, Password string
	// DB is the number of the database, and Master the name that the sentinels know the master by.
	DB     int
	Master string
	// TLS is nil for plain connections.
	TLS *tls.Config
}

// String names the hosts and nothing secret.
func (a Address) String() string { return strings.Join(a.Hosts, ",") }

// layout is how names are laid out on these servers. Sentinels are not where they are.
func (a Address) layout(prefix string) Layout {
	if a.Mode == Several {
		return NewLayout(prefix, false, a.Hosts...)
	}
	return NewLayout(prefix, a.Mode == Cluster)
}

const forms = "redis://[user:password@]host[:6379][/db], rediss:// for TLS with the system's roots or ?ca=FILE, " +
	"redis://host1,host2 to share the rooms, redis+sentinel://host1,host2/MASTER[/db], redis+cluster://host1,host2"

var schemes = map[string]struct {
	mode Mode
	tls  bool
	port string
}{
	"redis":           {One, false, "6379"},
	"rediss":          {One, true, "6379"},
	"redis+sentinel":  {Sentinel, false, "26379"},
	"rediss+sentinel": {Sentinel, true, "26379"},
	"redis+cluster":   {Cluster, false, "6379"},
	"rediss+cluster":  {Cluster, true, "6379"},
}

var errUnreadable = errors.New("redis: the URL can't be read: percent-encode what is special in the user, the password and the path")

// ParseURL takes a URL apart:
//
//	redis://[user:password@]host[:port][/db]           one server, on port 6379 if none is given
//	redis://host1,host2:6380,host3                     several, each with its share of the rooms
//	redis+sentinel://host1,host2/MASTER[/db]           the master that these sentinels (port 26379) name
//	redis+cluster://host1,host2                        the cluster that these are nodes of
//	rediss://, rediss+sentinel://, rediss+cluster://   the same with TLS, checked against the system's roots,
//	                                                   or with ?ca=FILE against the certificates in that file
//
// It reads that file. Its errors do not repeat the URL, which may hold a password.
func ParseURL(text string) (Address, error) {
	scheme, rest, found := strings.Cut(text, "://")
	kind, known := schemes[scheme]
	if !found || !known {
		return Address{}, fmt.Errorf("redis: the URL does not begin as one of these: %s", forms)
	}
	// Several hosts with ports are more than net/url takes, so they are put aside.
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	if strings.Contains(tail, "@") { // what was cut off may be half a password
		return Address{}, errUnreadable
	}
	user, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, hosts = authority[:i+1], authority[i+1:]
	}
	u, err := url.Parse(scheme + "://" + user + "host" + tail)
	if err != nil {
		return Address{}, errUnreadable // what net/url says quotes the URL with its password
	}
	a := Address{Mode: kind.mode, Username: u.User.Username()}
	a.Password, _ = u.User.Password()
	if a.Hosts, err = parseHosts(hosts, kind.port); err != nil {
		return Address{}, err
	}
	if a.Mode == One && len(a.Hosts) > 1 {
		a.Mode = Several
	}
	if err := a.parsePath(u.Path); err != nil {
		return Address{}, err
	}
	if kind.tls {
		a.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return a, a.parseQuery(u)
}

func parseHosts(list, port string) ([]string, error) {
	var hosts []string
	for host := range strings.SplitSeq(list, ",") {
		if host == "" {
			return nil, fmt.Errorf("redis: the URL names no host, or ends in a comma: write %s", forms)
		}
		name, number, err := net.SplitHostPort(host)
		if err != nil {
			name, number = strings.Trim(host, "[]"), port
		}
		if n, err := strconv.ParseUint(number, 10, 16); err != nil || n == 0 || name == "" || strings.ContainsAny(name, " []") {
			return nil, fmt.Errorf("redis: %q is not a host with a port: write host:%s", host, port)
		}
		host = net.JoinHostPort(name, number)
		if slices.Contains(hosts, host) {
			return nil, fmt.Errorf("redis: host %s is named twice: leave one out", host)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// parsePath takes what stands behind the hosts: the sentinels' name of the master, and the number of the database.
func (a *Address) parsePath(path string) error {
	db := strings.Trim(path, "/")
	if a.Mode == Sentinel {
		a.Master, db, _ = strings.Cut(db, "/")
		if a.Master == "" {
			return errors.New("redis: the URL does not say which master to ask the sentinels for: write redis+sentinel://host1,host2/MASTER")
		}
	}
	if db == "" {
		return nil
	}
	n, err := strconv.ParseUint(db, 10, 16)
	switch {
	case a.Mode == Cluster:
		return errors.New("redis: a cluster has no numbered databases: end the URL behind the hosts")
	case err != nil:
		return fmt.Errorf("redis: the path of the URL is the number of a database, such as /0, not %q", db)
	}
	a.DB = int(n)
	return nil
}

func (a *Address) parseQuery(u *url.URL) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || u.Fragment != "" {
		return errors.New("redis: what follows the path of the URL can't be read: nothing but ?ca=FILE goes there")
	}
	for key := range query {
		if key != "ca" {
			return fmt.Errorf("redis: the URL has an option %q: nothing but ca=FILE is known", key)
		}
	}
	file := query.Get("ca")
	if file == "" {
		return nil
	}
	if a.TLS == nil {
		return errors.New("redis: the URL names certificates but does not ask for TLS: begin it with rediss")
	}
	certificates, err := os.ReadFile(file) // #nosec G304: the operator names it
	if err != nil {
		return fmt.Errorf("redis: reading the certificates of ca: %w", err)
	}
	a.TLS.RootCAs = x509.NewCertPool()
	if !a.TLS.RootCAs.AppendCertsFromPEM(certificates) {
		return fmt.Errorf("redis: %s holds no certificate in PEM: give the authority that signed Redis's", file)
	}
	return nil
}

//go:build linux

package enginetest

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// This file is a swarm's settings as data, so that they can be sent to another process.

// Spec describes a swarm in JSON. Texts marked as templates may hold {i}, the number of the connection, and
// {i%100}, the remainder of that number, as often as they like.
type Spec struct {
	Addrs       []string `json:"addrs"`
	Connections int      `json:"connections"`
	InFlight    int      `json:"in_flight,omitempty"`
	Rate        int      `json:"rate,omitempty"`
	Loops       int      `json:"loops,omitempty"`
	// FirstSource and PerSource are the arguments of [SpreadSources]; PerSource 0 is 10,000, and -1 leaves
	// the source address to the kernel.
	FirstSource int `json:"first_source,omitempty"`
	PerSource   int `json:"per_source,omitempty"`

	// Path (a template), Host (empty: the first address), Subprotocols and Header make the request.
	Path         string            `json:"path"`
	Host         string            `json:"host,omitempty"`
	Subprotocols []string          `json:"subprotocols,omitempty"`
	Header       map[string]string `json:"header,omitempty"`
	// User (a template), if set, has a token minted for each connection, with Rooms (templates) and TTL.
	User  string        `json:"user,omitempty"`
	Rooms []string      `json:"rooms,omitempty"`
	TTL   time.Duration `json:"ttl,omitempty"`
	// TokenFile, if set, has a token in each line, one for each connection; User is not used then.
	TokenFile string `json:"token_file,omitempty"`
	// Raw, if set, is the whole request as it is, whatever the fields above say.
	Raw []byte `json:"raw,omitempty"`
	// AfterOpen are text messages (templates) to send after the 101.
	AfterOpen []string `json:"after_open,omitempty"`

	// The rest is as in [Config].
	Marks         []string      `json:"marks,omitempty"`
	StampMark     string        `json:"stamp_mark,omitempty"`
	Mode          Mode          `json:"mode,omitempty"`
	SlowBytes     int           `json:"slow_bytes,omitempty"`
	SlowEvery     time.Duration `json:"slow_every,omitempty"`
	HeadBytes     int           `json:"head_bytes,omitempty"`
	ReceiveBuffer int           `json:"receive_buffer,omitempty"`
	NoPong        bool          `json:"no_pong,omitempty"`
	NoCloseReply  bool          `json:"no_close_reply,omitempty"`
	Extended      bool          `json:"extended,omitempty"`
	Flood         []byte        `json:"flood,omitempty"`
	Leave         CloseKind     `json:"leave,omitempty"`
	Return        Return        `json:"return,omitempty"`

	// CPUs pins the process of a child to these processors, ReportEvery is the pace of its reports
	// (0: 200 ms). Both mean nothing to [Spec.Config].
	CPUs        []int         `json:"cpus,omitempty"`
	ReportEvery time.Duration `json:"report_every,omitempty"`
}

// Config is the swarm that the spec describes. Tokens are minted when a connection is dialled.
func (s *Spec) Config() (Config, error) {
	if len(s.Addrs) == 0 {
		return Config{}, fmt.Errorf("a swarm needs an address")
	}
	// Minting cannot fail later if it does not fail here: only the user's name differs.
	if _, err := mint(s.User, s.TTL, s.Rooms); err != nil {
		return Config{}, fmt.Errorf("mint a token: %w", err)
	}
	cfg := Config{
		Addrs: s.Addrs, N: s.Connections, InFlight: s.InFlight, Rate: s.Rate, Loops: s.Loops,
		Head: func(i int) []byte { return s.head(i, "") }, Marks: s.Marks, StampMark: s.StampMark, Mode: s.Mode, SlowBytes: s.SlowBytes,
		SlowEvery: s.SlowEvery, HeadBytes: s.HeadBytes, ReceiveBuffer: s.ReceiveBuffer, NoPong: s.NoPong,
		NoCloseReply: s.NoCloseReply, Extended: s.Extended, Flood: s.Flood, Leave: s.Leave, Return: s.Return,
	}
	if s.TokenFile != "" {
		tokens, err := readTokens(s.TokenFile, s.Connections)
		if err != nil {
			return Config{}, err
		}
		cfg.Head = func(i int) []byte { return s.head(i, tokens[i]) }
	}
	switch {
	case s.PerSource < 0:
		cfg.Source = func(int) netip.Addr { return netip.Addr{} }
	case s.PerSource > 0 || s.FirstSource > 0:
		cfg.Source = SpreadSources(s.FirstSource, orDefault(s.PerSource, connectionsPerSource))
	}
	if len(s.AfterOpen) > 0 {
		cfg.AfterOpen = func(i int) [][]byte {
			frames := make([][]byte, len(s.AfterOpen))
			for k, text := range s.AfterOpen {
				frames[k] = TextFrame([]byte(expand(text, i)))
			}
			return frames
		}
	}
	return cfg, nil
}

func (s *Spec) head(i int, token string) []byte {
	if len(s.Raw) > 0 {
		return s.Raw
	}
	o := Options{Subprotocols: s.Subprotocols, Header: http.Header{}, Token: token}
	for name, value := range s.Header {
		o.Header.Set(name, value)
	}
	if s.User != "" && token == "" {
		rooms := make([]string, len(s.Rooms))
		for k, room := range s.Rooms {
			rooms[k] = expand(room, i)
		}
		o.Token, _ = mint(expand(s.User, i), orTTL(s.TTL), rooms) // see Config
	}
	host := s.Host
	if host == "" {
		host = s.Addrs[0]
	}
	return UpgradeHead(host, expand(s.Path, i), o)
}

// orTTL is an hour unless the spec says otherwise: longer than any test.
func orTTL(ttl time.Duration) time.Duration {
	if ttl == 0 {
		return time.Hour
	}
	return ttl
}

// expand fills {i} and {i%n} in; anything else in braces stays as it is, so that JSON needs no escaping.
func expand(text string, i int) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "{i")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		inner, rest, closed := strings.Cut(after, "}")
		divisor, ok := strings.CutPrefix(inner, "%")
		n, err := strconv.Atoi(divisor)
		switch {
		case closed && inner == "":
			out.WriteString(strconv.Itoa(i))
			text = rest
		case closed && ok && err == nil && n > 0:
			out.WriteString(strconv.Itoa(i % n))
			text = rest
		default:
			out.WriteString("{i")
			text = after
		}
	}
}

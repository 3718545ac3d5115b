// The key sets of a configuration: fetched by auth, counted and logged here.

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/engine/auth"
)

// keySets are the key sets that a configuration names, one for each address, however many issuers share it. They
// do nothing before start. One goroutine fills them and starts and closes them; writeMetrics may be called from any
// after start.
type keySets struct {
	log     *slog.Logger
	all     []keySet
	started time.Time
}

type keySet struct {
	address config.URL
	keys    *auth.KeySet
}

// at returns the key set of an address, which setting key holds; nil for none.
func (s *keySets) at(key string, address config.URL) (*auth.KeySet, error) {
	if address == "" {
		return nil, nil
	}
	for _, known := range s.all {
		if known.address == address {
			return known.keys, nil
		}
	}
	report := &keySetReport{log: s.log, address: address}
	keys, err := auth.NewKeySet(auth.KeySetOptions{URL: string(address), Report: report.write})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	s.all = append(s.all, keySet{address, keys})
	return keys, nil
}

// start begins to fetch all keys, and waits until each address has been tried once, or patience is over, or enough is
// closed. Which addresses answered does not matter here: the sets try on by themselves.
func (s *keySets) start(patience time.Duration, enough <-chan struct{}) {
	s.started = time.Now()
	for _, set := range s.all {
		set.keys.Start()
	}
	over := time.NewTimer(patience)
	defer over.Stop()
	for _, set := range s.all {
		select {
		case <-set.keys.Tried():
		case <-over.C:
			return
		case <-enough:
			return
		}
	}
}

// close gives up what is being fetched and waits for that. Keys that are there stay in use.
func (s *keySets) close() {
	for _, set := range s.all {
		set.keys.Close()
	}
}

// writeMetrics writes the figures of all sets together in Prometheus text format, and nothing if there are none: an
// address would be a label of somebody else's making.
func (s *keySets) writeMetrics(w io.Writer) {
	if len(s.all) == 0 {
		return
	}
	for _, outcome := range auth.RefreshOutcomes() {
		n := uint64(0)
		for _, set := range s.all {
			n += set.keys.Refreshes(outcome)
		}
		metrics.WriteCounterUint64(w, `roost_jwks_refreshes_total{outcome="`+outcome.String()+`"}`, n)
	}
	keys, age := 0, time.Duration(0)
	for _, set := range s.all {
		status := set.keys.Status()
		since := status.Fetched
		if since.IsZero() {
			since = s.started // so that a set that never came looks as old as it is
		}
		keys, age = keys+status.Keys, max(age, time.Since(since))
	}
	metrics.WriteGaugeUint64(w, "roost_jwks_keys", uint64(keys))
	metrics.WriteGaugeFloat64(w, "roost_jwks_age_seconds", age.Seconds())
}

// keySetReport writes the log of one key set: what has changed, and each kind of failure once.
type keySetReport struct {
	log     *slog.Logger
	address config.URL
	// last is what was reported before. The key set's goroutine alone touches it.
	last auth.KeySetStatus
}

// write takes the status after a refresh. It is called on the key set's goroutine.
func (r *keySetReport) write(s auth.KeySetStatus) {
	last := r.last
	r.last = s
	level, message := slog.LevelInfo, "keys have been fetched"
	switch {
	case s.Last == auth.RefreshUnchanged && !last.Last.Failed(), s.Last.Failed() && s.Last == last.Last && s.Keys == last.Keys:
		return
	case s.Last.Failed() && s.Keys > 0:
		level, message = slog.LevelWarn, "keys cannot be fetched, those there are stay in use"
	case s.Last.Failed():
		level, message = slog.LevelError, "keys cannot be fetched and there are none, tokens are answered 503"
	}
	attributes := []slog.Attr{
		slog.String("jwks_url", r.address.String()), // without what may be secret
		slog.String("outcome", s.Last.String()),
		slog.Int("keys", s.Keys),
	}
	if left := s.Skips.String(); left != "" {
		attributes = append(attributes, slog.String("not_used", left))
	}
	r.log.LogAttrs(context.Background(), level, message, attributes...)
}

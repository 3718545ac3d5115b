package redis

// What goes wrong, by name.

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"

	"github.com/roost-ws/roost/fanout"
)

var (
	// ErrDown means that Redis can't be reached now. Nothing waits for it to come back: try again later.
	ErrDown = errors.New("redis can't be reached")
	// ErrTooLarge means that a publication is larger than [Options].MaxBytes.
	ErrTooLarge = errors.New("redis: the publication is larger than nodes accept from the bus")
)

// errAway is an ErrDown of something that was not even sent, which is what fanout.ErrDown promises.
var errAway error = away{}

type away struct{}

func (away) Error() string   { return ErrDown.Error() }
func (away) Unwrap() []error { return []error{ErrDown, fanout.ErrDown} }

// lost says what an error of a command means to who waits for it: a broken connection is ErrDown, an answer of Redis's
// own stays itself.
func (b *Broker) lost(action string, err error) error {
	switch {
	case err == nil:
		return nil
	case b.life.Load() == closed:
		return fanout.ErrClosed
	case errors.Is(err, ErrDown):
		return fmt.Errorf("%s: %w", action, err)
	case moved(err):
		return fmt.Errorf("%s: %w: the cluster is changing: %w", action, errAway, err) // it did nothing
	case isAnswer(err):
		return fmt.Errorf("%s: redis answers %w", action, err)
	}
	return fmt.Errorf("%s: %w: %w", action, ErrDown, err)
}

// lostAsking is lost for what may be asked again without harm: that it was done perhaps does not matter.
func (b *Broker) lostAsking(action string, err error) error {
	if err = b.lost(action, err); errors.Is(err, ErrDown) {
		return fmt.Errorf("%w: %w", errAway, err)
	}
	return err
}

// moved reports whether err is what a server of a cluster says when it does not serve a slot, or not just now.
func moved(err error) bool {
	answer, ok := rueidis.IsRedisErr(err)
	if !ok {
		return false
	}
	for _, word := range []string{"MOVED", "ASK", "CLUSTERDOWN", "TRYAGAIN"} {
		if strings.HasPrefix(answer.Error(), word) {
			return true
		}
	}
	return false
}

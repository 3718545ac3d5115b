package redis

// What goes wrong, by name.

import (
	"errors"
	"fmt"

	"github.com/roost-ws/roost/fanout"
)

var (
	// ErrDown means that Redis can't be reached now. Nothing waits for it to come back: try again later.
	ErrDown = errors.New("redis can't be reached")
	// ErrTooLarge means that a publication is larger than [Options].MaxBytes.
	ErrTooLarge = errors.New("redis: the publication is larger than nodes accept from the bus")
)

// lost says what an error of a command means to who waits for it: a broken connection is ErrDown, an answer of Redis's
// own stays itself.
func (b *Broker) lost(action string, err error) error {
	switch {
	case err == nil:
		return nil
	case b.life.Load() == closed:
		return fanout.ErrClosed
	case isAnswer(err):
		return fmt.Errorf("%s: redis answers %w", action, err)
	}
	return fmt.Errorf("%s: %w: %w", action, ErrDown, err)
}

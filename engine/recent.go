package engine

import (
	"hash/maphash"
	"sync/atomic"
)

// recentUsers remembers which users' connections ended within the last minute, in a table of fixed size: two
// users that share a place forget each other, which makes a count of reconnects a little low and never large.
type recentUsers struct {
	seed  maphash.Seed
	slots [recentSlots]atomic.Uint64 // upper half: hash, lower half: Unix seconds
}

const (
	recentSlots  = 1 << 14
	recentWindow = 60
)

func (t *recentUsers) place(user string) (*atomic.Uint64, uint64) {
	h := maphash.String(t.seed, user)
	return &t.slots[h%recentSlots], h >> 32 << 32
}

// left notes that a connection of user has ended. Any goroutine.
func (t *recentUsers) left(user string, unix int64) {
	if user == anonymousUser || user == "" {
		return
	}
	slot, tag := t.place(user)
	slot.Store(tag | uint64(uint32(unix)))
}

// saw reports whether user was here within the last minute, once for each time it left. Any goroutine.
func (t *recentUsers) saw(user string, unix int64) bool {
	if user == anonymousUser {
		return false
	}
	slot, tag := t.place(user)
	was := slot.Load()
	if was == 0 || was>>32<<32 != tag || unix-int64(uint32(was)) > recentWindow {
		return false
	}
	return slot.CompareAndSwap(was, 0)
}

// One Rights for all tokens that carry the same patterns.

package auth

import (
	"runtime"
	"sync"
	"weak"
)

// internTable finds the Rights of a canonical form while somebody holds it. It keeps none alive: a million
// connections may share a handful of sets, or have one each that must go when they go.
type internTable struct {
	mu   sync.Mutex
	sets map[string]weak.Pointer[Rights]
}

func newInternTable() *internTable {
	return &internTable{sets: make(map[string]weak.Pointer[Rights])}
}

// get returns the one Rights of key. Any goroutine; the lock is held for a look-up or one small build.
func (t *internTable) get(key string) *Rights {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.sets[key].Value(); r != nil {
		return r
	}
	r := newRights(key)
	t.sets[key] = weak.Make(r)
	runtime.AddCleanup(r, t.forget, key)
	return r
}

// forget removes the entry of a collected set, unless an equal one has taken its place meanwhile.
func (t *internTable) forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sets[key].Value() == nil {
		delete(t.sets, key)
	}
}

// size returns the number of entries, among them those whose cleanup has yet to run.
func (t *internTable) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.sets)
}

// Package wheel is the timer of an event loop: a hashed timing wheel with one small entry for each connection.
//
// The wheel owns no entries. They live by value inside the owner's slabs of connections, are 12 bytes long, and
// are linked by 32-bit ids instead of pointers, so a million timers cost the collector nothing to look at. The
// owner's [Table] turns an id into its entry.
//
// Time is a tick count that the caller passes in; roost's tick is 100 ms. Nothing fires early: an entry due at
// tick 7 fires in the first Advance to 7 or later. A uint32 of such ticks lasts 13 years; the wheel ignores the
// wrap, so a process that lives longer has to be restarted before.
//
// All calls belong to the loop's goroutine. There is no lock, nothing blocks, and nothing allocates after [New].
// The wheel never reads a clock, never starts a goroutine, and never keeps a pointer to an entry across calls,
// so slabs may move or grow at any time, even while entries fire.
package wheel

import "math/bits"

// Entry is the timer of one connection. Its zero value is ready to use and not scheduled. The owner stores it
// by value; only the wheel changes it, and an entry must be cancelled before its memory serves another id.
type Entry struct {
	next, prev uint32 // ids, or a list head marked with headBit; stale while not scheduled
	due        uint32 // tick; 0 = not scheduled
}

// Scheduled reports whether the entry waits to fire.
func (e *Entry) Scheduled() bool { return e.due != 0 }

// Due is the tick given to Schedule (1 if that was 0), or 0 when the entry is not scheduled.
func (e *Entry) Due() uint32 { return e.due }

// Table finds the entry of an id in the owner's slabs. It is asked only for ids that were given to Schedule or
// Cancel, often, and on the loop; the pointer is used at once and not kept.
type Table interface {
	Entry(id uint32) *Entry
}

// headBit marks a link that names a list of the wheel, not an entry. Heads and entries form rings, so that
// taking one out needs neither its list nor a special case for the first and the last.
const headBit = 1 << 31

// Wheel fires entries when their tick has come. The entries of one slot are those whose due ticks are equal
// modulo the number of slots; one that is more than a lap away is passed over once each lap.
//
// Between calls every slot holds only entries due after now. What was already due when it was scheduled waits
// in a list of its own, the late list: the slots up to now have been walked and come round only a lap later.
type Wheel struct {
	table  Table
	heads  []Entry // one for each slot, then the late list; their due is unused
	mask   uint32
	now    uint32 // tick of the latest Advance
	cursor uint32 // the link that a running Advance follows next; take moves it off an entry that leaves
	len    int
}

// New returns an empty wheel that stands at tick now (0 counts as 1). The number of slots is rounded up to a
// power of two; it should cover the usual distance of a deadline, since entries further away are looked at once
// a lap. It costs 12 bytes a slot. Ids run from 1 to 1<<31 - 1; 0 means none.
func New(table Table, slots int, now uint32) *Wheel {
	n := 1 << bits.Len(uint(max(slots, 1)-1))
	w := &Wheel{
		table: table,
		heads: make([]Entry, n+1),
		mask:  uint32(n - 1),
		now:   max(now, 1),
	}
	for i := range w.heads {
		head := headBit | uint32(i)
		w.heads[i] = Entry{next: head, prev: head}
	}
	return w
}

// Len is the number of scheduled entries.
func (w *Wheel) Len() int { return w.len }

// Schedule sets the entry of id to fire at tick due, in place of an earlier setting. A due at or before the
// current tick fires on the next Advance, never within the one that is running. Any distance ahead is legal.
func (w *Wheel) Schedule(id, due uint32) {
	if id == 0 {
		return
	}
	e := w.table.Entry(id)
	if e.due != 0 {
		w.take(id, e)
	}
	list := uint32(len(w.heads) - 1)
	if due > w.now {
		list = due & w.mask
	}
	// An entry goes in right behind the head, where a running walk has already been: it can't be met again.
	head := &w.heads[list]
	e.prev, e.next = headBit|list, head.next
	e.due = max(due, 1)
	w.at(head.next).prev = id
	head.next = id
	w.len++
}

// Cancel takes the entry of id off the wheel. It does nothing when the entry is not scheduled.
func (w *Wheel) Cancel(id uint32) {
	if id == 0 {
		return
	}
	if e := w.table.Entry(id); e.due != 0 {
		w.take(id, e)
	}
}

// Advance moves the wheel to tick now, calls fire for each entry due by then, and returns how many there were.
// An entry is off the wheel when fire is called for it. There is no promise about the order. However far now
// has jumped, each slot is walked at most once. A now before the current tick counts as the current tick.
//
// fire runs on the caller's goroutine. It may Schedule and Cancel any id, its own included: what it cancels or
// puts off does not fire, and what it schedules for now or before fires on the next Advance, so an entry that
// always asks for now can't keep the loop here. fire must not call Advance.
func (w *Wheel) Advance(now uint32, fire func(id uint32)) (fired int) {
	from := w.now
	w.now = max(now, from)
	fired = w.walk(uint32(len(w.heads)-1), fire)
	slots := min(w.now-from, w.mask+1)
	for i := uint32(1); i <= slots; i++ {
		fired += w.walk((from+i)&w.mask, fire)
	}
	return fired
}

// walk fires what is due in one list. It holds its place in w.cursor and no entry across a call of fire, since
// fire may take out any entry, also the one that comes next.
func (w *Wheel) walk(list uint32, fire func(id uint32)) (fired int) {
	head := headBit | list
	for w.cursor = w.heads[list].next; w.cursor != head; {
		id := w.cursor
		e := w.table.Entry(id)
		if e.due > w.now {
			w.cursor = e.next
			continue
		}
		w.take(id, e)
		fired++
		fire(id)
	}
	return fired
}

// take unlinks a scheduled entry and marks it as not scheduled.
func (w *Wheel) take(id uint32, e *Entry) {
	w.at(e.prev).next = e.next
	w.at(e.next).prev = e.prev
	if w.cursor == id {
		w.cursor = e.next
	}
	e.due = 0
	w.len--
}

// at follows a link to a list head or to an entry.
func (w *Wheel) at(link uint32) *Entry {
	if link&headBit != 0 {
		return &w.heads[link&^headBit]
	}
	return w.table.Entry(link)
}

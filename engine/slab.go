package engine

import (
	"unsafe"

	"github.com/roost-ws/roost/engine/wheel"
)

// slabConns is how many connections one slab holds: big enough that the collector sees few objects, small
// enough that a half-empty last slab costs nothing. A slab and the 8 bytes that the runtime puts in front of it
// fill a size class of the allocator (27,264 bytes) to 98 %.
const slabConns = 256

// connTable is where a loop's connections live, by value in slabs that never move. Slot 0 is never given out.
type connTable struct {
	slabs []*[slabConns]Conn
	free  []uint32
	open  int
}

// take gives out a free slot under a new generation, or nil when the loop can name no more.
func (t *connTable) take() *Conn {
	if len(t.free) == 0 && !t.grow() {
		return nil
	}
	slot := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	c := t.at(slot)
	c.slot = slot
	c.gen++
	t.open++
	return c
}

func (t *connTable) grow() bool {
	base := uint32(len(t.slabs)) * slabConns
	if base+slabConns-1 > maxSlot {
		return false
	}
	t.slabs = append(t.slabs, new([slabConns]Conn))
	for i := uint32(slabConns); i > 0; i-- {
		if slot := base + i - 1; slot != 0 {
			t.free = append(t.free, slot)
		}
	}
	return true
}

// release empties c for the next connection; only the generation survives.
func (t *connTable) release(c *Conn) {
	slot, gen := c.slot, c.gen
	*c = Conn{slot: slot, gen: gen}
	t.free = append(t.free, slot)
	t.open--
}

// at finds a slot's connection, open or not.
func (t *connTable) at(slot uint32) *Conn {
	return &t.slabs[slot/slabConns][slot%slabConns]
}

// find follows a handle; nil when that connection is gone.
func (t *connTable) find(h handle) *Conn {
	slot := h.slot()
	if slot == 0 || int(slot/slabConns) >= len(t.slabs) {
		return nil
	}
	if c := t.at(slot); c.gen == h.gen() && c.phase != phaseFree {
		return c
	}
	return nil
}

// Entry makes the table the wheel's: a connection's slot is its timer id.
func (t *connTable) Entry(id uint32) *wheel.Entry { return &t.at(id).timer }

// slots is one more than the highest slot there is.
func (t *connTable) slots() uint32 { return uint32(len(t.slabs)) * slabConns }

// connBytes is the size of one connection of ours; a test pins it.
const connBytes = int(unsafe.Sizeof(Conn{}))

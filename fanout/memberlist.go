package fanout

// The users of one room in the order of their names: a list of sorted blocks, which costs little more than the entries
// themselves, whether there are two or a million, and whose beginning can be read without looking at the rest.

import (
	"cmp"
	"math"
	"slices"
)

// memberBlock is how many users a block has at most. A full one is cut in two.
const memberBlock = 128

// member is one user of a room. Connections beyond 4 billion are counted as that many.
type member struct {
	user        string
	connections uint32
}

// memberList is a room's users. The zero value is empty. Blocks are never empty and hold ascending names.
type memberList struct {
	blocks [][]member
	count  int
}

// find returns where user is, or where it belongs.
func (l *memberList) find(user string) (block, at int, found bool) {
	block, found = slices.BinarySearchFunc(l.blocks, user, func(b []member, user string) int {
		return cmp.Compare(b[0].user, user)
	})
	if found {
		return block, 0, true
	}
	block = max(block-1, 0) // the last one that begins below user
	if len(l.blocks) == 0 {
		return 0, 0, false
	}
	at, found = slices.BinarySearchFunc(l.blocks[block], user, func(m member, user string) int {
		return cmp.Compare(m.user, user)
	})
	return block, at, found
}

// add puts user into the list and reports whether it is new there. The connections of one that is there already are
// set only with update.
func (l *memberList) add(user string, connections int, update bool) (added bool) {
	m := member{user: user, connections: uint32(min(max(connections, 1), math.MaxUint32))}
	block, at, found := l.find(user)
	switch {
	case found:
		if update {
			l.blocks[block][at].connections = m.connections
		}
		return false
	case len(l.blocks) == 0:
		l.blocks = [][]member{{m}}
	default:
		l.insert(block, at, m)
	}
	l.count++
	return true
}

func (l *memberList) insert(block, at int, m member) {
	b := l.blocks[block]
	if len(b) == memberBlock {
		half := memberBlock / 2
		if block == len(l.blocks)-1 && at == memberBlock {
			half = memberBlock // names that arrive in order leave full blocks behind
		}
		upper := slices.Clone(b[half:])
		l.blocks = slices.Insert(l.blocks, block+1, upper)
		clear(b[half:])
		l.blocks[block] = b[:half]
		if at >= half {
			block, at = block+1, at-half
		}
		b = l.blocks[block]
	}
	l.blocks[block] = slices.Insert(b, at, m)
}

// remove takes user out of the list and reports whether it was there.
func (l *memberList) remove(user string) bool {
	block, at, found := l.find(user)
	if !found {
		return false
	}
	l.count--
	l.blocks[block] = slices.Delete(l.blocks[block], at, at+1)
	l.join(block)
	return true
}

// join drops a block that became empty, and joins one that became small with the next.
func (l *memberList) join(block int) {
	b := l.blocks[block]
	if len(b) == 0 {
		l.blocks = slices.Delete(l.blocks, block, block+1)
		return
	}
	if block+1 < len(l.blocks) && len(b)+len(l.blocks[block+1]) <= memberBlock/2 {
		l.blocks[block] = append(b, l.blocks[block+1]...)
		l.blocks = slices.Delete(l.blocks, block+1, block+2)
	}
}

// first returns a copy of the first users, at most limit.
func (l *memberList) first(limit int) []PresentUser {
	limit = min(limit, l.count)
	if limit <= 0 {
		return nil
	}
	users := make([]PresentUser, 0, limit)
	for _, b := range l.blocks {
		for _, m := range b {
			if len(users) == limit {
				return users
			}
			users = append(users, PresentUser{User: m.user, Connections: int(m.connections)})
		}
	}
	return users
}

package redis

// Where a room's stream jumped; see lua/stand.lua.

import (
	"slices"
	"strconv"
	"strings"

	"github.com/roost-ws/roost/fanout"
)

// jump is a place where the stream goes on at base: of what came behind from, the end may be lost. The publication after
// it has the offset base+1.
type jump struct{ from, base uint64 }

// jumps are the last ones, oldest first.
type jumps []jump

// parseJumps reads "from:base,from:base,".
func parseJumps(text string) (list jumps, ok bool) {
	for text != "" {
		one, rest, found := strings.Cut(text, ",")
		digits, more, also := strings.Cut(one, ":")
		from, err := strconv.ParseUint(digits, 10, 64)
		base, err2 := strconv.ParseUint(more, 10, 64)
		if !found || !also || err != nil || err2 != nil || from >= base {
			return nil, false
		}
		list = append(list, jump{from, base})
		text = rest
	}
	return list, true
}

// base is where the last jump went, 0 if there was none.
func (list jumps) base() uint64 {
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1].base
}

// next is the offset of the publication behind offset. Behind what was lost it is the first one that was not.
func (list jumps) next(offset uint64) uint64 {
	for _, j := range list {
		if offset >= j.from && offset < j.base {
			offset = j.base
		}
	}
	return offset + 1
}

// complete sets what a page that was read behind since says of itself, and takes out of it what was published again and
// was heard before it was lost by whoever heard everything up to since. Of what was lost before a jump that since is
// behind, nobody can say that here.
func (list jumps) complete(page *fanout.Page, since uint64) {
	unbroken, at := 0, since
	for unbroken < len(page.Publications) && page.Publications[unbroken].Position.Offset == list.next(at) {
		at = page.Publications[unbroken].Position.Offset
		unbroken++
	}
	page.Complete = unbroken == len(page.Publications) && list.next(at) == list.next(page.Position.Offset)
	page.Follows = unbroken > 0 || page.Complete
	page.Publications = slices.DeleteFunc(page.Publications, func(p fanout.Publication) bool {
		return slices.ContainsFunc(p.Was, func(was uint64) bool { return list.heard(was, since) })
	})
	if slices.ContainsFunc(page.Publications, lostForGood) {
		page.Complete, page.Follows = false, false
	}
}

func lostForGood(p fanout.Publication) bool { return p.Kind == fanout.Missed }

// heard reports whether who heard everything up to since has heard what was lost at the offset was.
func (list jumps) heard(was, since uint64) bool {
	known := len(list) > 0 && was > list[0].from
	return known && was <= since && !slices.ContainsFunc(list, func(j jump) bool { return was <= j.base && j.base <= since })
}

package redis

// Where things are in Redis: names of channels and keys, and which of several servers or slots a name belongs to.

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// Partitions is how many parts a cluster's rooms are divided into. All channels and keys of one part are in one slot,
// so that a part is always on one master, and one SSUBSCRIBE may name many of its channels.
const Partitions = 64

// DefaultPrefix begins every channel and key of ours.
const DefaultPrefix = "roost:"

// Layout says how channels and keys are named, and which part a name is in. What belongs to one room, or one user, is
// all in one part: on a cluster one of 64 that share a slot, else the server that keeps it. It is a value without
// state, for any goroutine.
//
//	one server, sentinel, several    roost:room:<room>        and for other things roost:<kind>:<name>
//	cluster                          roost:room:{p}:<room>    roost:<kind>:{p}:<name>, p = CLUSTER KEYSLOT <name> mod 64
//
// Which of several servers has a name: the one with the highest score, which is FNV-1a (64 bits) over the server's
// host:port, a zero byte and the name, and then mixed as MurmurHash3 ends. So a server that goes takes only its own
// names to others.
type Layout struct {
	prefix  string
	cluster bool
	shards  []uint64 // of each server the hash of its address and the zero byte; one or none: all names are in part 0
}

// NewLayout returns the layout of one server or a master under Sentinel (with at most one address), of several servers
// that share the names, or of a cluster, where addresses do not matter. The prefix may be empty; it must not hold '{'.
func NewLayout(prefix string, cluster bool, addresses ...string) Layout {
	l := Layout{prefix: prefix, cluster: cluster}
	if !cluster && len(addresses) > 1 {
		for _, address := range addresses {
			h := fnv.New64a()
			_, _ = h.Write(append([]byte(address), 0)) // a hash takes everything
			l.shards = append(l.shards, h.Sum64())
		}
	}
	return l
}

// Parts is how many parts there are.
func (l Layout) Parts() int {
	if l.cluster {
		return Partitions
	}
	return max(1, len(l.shards))
}

// Part says which part the room or user called name is in, from 0 to Parts()-1. Of several servers it is the index of
// the server's address.
func (l Layout) Part(name string) int {
	if l.cluster {
		return int(crc16(name) % Partitions)
	}
	best, part := uint64(0), 0
	for i, h := range l.shards {
		if score := mix(fnv1a(h, name)); score > best || i == 0 {
			best, part = score, i
		}
	}
	return part
}

// Channel is where room's publications are published, with SPUBLISH on a cluster, else with PUBLISH.
func (l Layout) Channel(room string) string { return l.Key("room", room) }

// Room is the opposite of Channel. It reports false for what is not the channel of a room.
func (l Layout) Room(channel string) (room string, part int, ok bool) {
	rest, ok := strings.CutPrefix(channel, l.prefix)
	if ok {
		rest, ok = strings.CutPrefix(rest, "room:")
	}
	if !ok || !l.cluster {
		return rest, 0, ok && rest != ""
	}
	tag, room, ok := strings.Cut(strings.TrimPrefix(rest, "{"), "}:")
	part, err := strconv.Atoi(tag)
	if !ok || err != nil || room == "" || part != l.Part(room) {
		return "", 0, false
	}
	return room, part, true
}

// Key is the key of something of the given kind about the room or user called name.
func (l Layout) Key(kind, name string) string {
	if !l.cluster {
		return l.prefix + kind + ":" + name
	}
	return l.prefix + kind + ":" + l.Tag(l.Part(name)) + ":" + name
}

// Tag is what makes a key on a cluster belong to a part's slot; empty elsewhere.
func (l Layout) Tag(part int) string {
	if !l.cluster {
		return ""
	}
	return "{" + strconv.Itoa(part) + "}"
}

// Slot is the slot of a cluster that a part's channels and keys are in.
func (l Layout) Slot(part int) int { return int(crc16(strconv.Itoa(part)) % 16384) }

// meta and stream are the keys of a room's history: its epoch and offset, and what it keeps. lives is the one of its part
// that says when each server was alive.
func (l Layout) meta(room string) string   { return l.Key("position", room) }
func (l Layout) stream(room string) string { return l.Key("history", room) }
func (l Layout) lives(part int) string     { return l.prefix + "lives" + l.Tag(part) }

// historyKeys are all of them, as the scripts take them.
func (l Layout) historyKeys(room string) []string {
	return []string{l.meta(room), l.stream(room), l.lives(l.Part(room))}
}

// lease is the key that says which process has a node's name.
func (l Layout) lease(node string) string { return l.Key("node", node) }

// fnv1a goes on with an FNV-1a hash over s.
func fnv1a(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is the end of MurmurHash3: without it names that differ in their last byte alone get scores that lie close.
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// crc16 is the checksum of Redis Cluster's slots (XMODEM: polynomial 0x1021, beginning with 0).
func crc16(s string) uint16 {
	crc := uint16(0)
	for i := range len(s) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^s[i]]
	}
	return crc
}

var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()

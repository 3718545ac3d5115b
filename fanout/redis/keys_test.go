package redis

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestLayoutNames(t *testing.T) {
	for _, c := range []struct {
		name      string
		layout    Layout
		room      string
		channel   string
		part      int
		presence  string
		partsHave int
	}{
		{"one server", NewLayout("roost:", false, "h:1"), "chat.1", "roost:room:chat.1", 0, "roost:presence:chat.1", 1},
		{"no prefix", NewLayout("", false), "a:b", "room:a:b", 0, "presence:a:b", 1},
		// CLUSTER KEYSLOT foo is 12182 by Redis's own word.
		{"cluster", NewLayout("roost:", true), "foo", "roost:room:{22}:foo", 12182 % 64, "roost:presence:{22}:foo", 64},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.layout.Channel(c.room); got != c.channel {
				t.Errorf("channel %q, want %q", got, c.channel)
			}
			if got := c.layout.Part(c.room); got != c.part {
				t.Errorf("part %d, want %d", got, c.part)
			}
			if got := c.layout.Key("presence", c.room); got != c.presence {
				t.Errorf("key %q, want %q", got, c.presence)
			}
			if got := c.layout.Parts(); got != c.partsHave {
				t.Errorf("%d parts, want %d", got, c.partsHave)
			}
		})
	}
}

// The check value of CRC-16/XMODEM, and slots that Redis's specification names.
func TestSlots(t *testing.T) {
	if got := crc16("123456789"); got != 0x31c3 {
		t.Errorf("crc16 is %#x, want 0x31c3", got)
	}
	seen := map[int]bool{}
	for part := range Partitions {
		seen[NewLayout("", true).Slot(part)] = true
	}
	if len(seen) != Partitions {
		t.Errorf("%d partitions are in %d slots", Partitions, len(seen))
	}
}

func TestRoomOfChannel(t *testing.T) {
	layouts := []Layout{NewLayout("roost:", false), NewLayout("", false, "a:1", "b:2"), NewLayout("roost:", true)}
	rapid.Check(t, func(t *rapid.T) {
		layout := rapid.SampledFrom(layouts).Draw(t, "layout")
		room := rapid.StringMatching(`[A-Za-z0-9._~:-]{1,128}`).Draw(t, "room")
		got, part, ok := layout.Room(layout.Channel(room))
		if !ok || got != room || layout.cluster && part != layout.Part(room) {
			t.Fatalf("%q came back as %q in part %d, %v", room, got, part, ok)
		}
	})
	for _, channel := range []string{"", "roost:", "roost:room:", "roost:room:a", "roost:room:{1}:", "roost:room:{x}:a",
		"roost:room:{22}foo", "roost:room:{21}:foo", "roost:room:{-1}:foo", "roost:user:{22}:foo"} {
		if room, _, ok := layouts[2].Room(channel); ok {
			t.Errorf("%q is taken for the channel of room %q", channel, room)
		}
	}
}

// Each of several servers gets its share, and one that goes takes nothing of the others' with it.
func TestShardsAreEvenAndStay(t *testing.T) {
	const names = 30000
	three := []string{"redis-1:6379", "redis-2:6379", "redis-3:6379"}
	all, without := NewLayout("", false, three...), NewLayout("", false, three[:2]...)
	var count [3]int
	for i := range names {
		name := fmt.Sprintf("room.%d", i)
		part := all.Part(name)
		count[part]++
		if part < 2 && without.Part(name) != part {
			t.Fatalf("%q moves from server %d though that server stays", name, part)
		}
	}
	for i, n := range count {
		if n < names/3*9/10 || n > names/3*11/10 {
			t.Errorf("server %d has %d of %d names", i, n, names)
		}
	}
}

package reactor

// A mix of clients, as it is written down.

import (
	"errors"
	"fmt"
	"math"
)

// Profile is a mix of clients: which kinds there are and how large their rooms are. It is what a YAML or JSON file
// of a user holds; the keys are those of the tags.
type Profile struct {
	// Name says what the mix is modelled on.
	Name string `json:"name" yaml:"name"`
	// Kinds are the kinds of clients; at least one, and at most 250.
	Kinds []Kind `json:"kinds" yaml:"kinds"`
	// Rooms are the sizes of rooms. Without any, the target's rule for rooms holds.
	Rooms []RoomSize `json:"rooms,omitempty" yaml:"rooms"`
}

// Kind is one kind of clients.
type Kind struct {
	// Name stands for the kind in results.
	Name string `json:"name" yaml:"name"`
	// Share is the kind's weight beside the others: with weights of 90 and 10 one connection in ten is of the second.
	Share float64 `json:"share" yaml:"share"`
	// Rate is how many messages a second each client sends to its room; 0 is a client that only listens.
	Rate float64 `json:"rate,omitempty" yaml:"rate"`
	// ReadBytes is how many bytes a second each client reads, which makes it a slow reader; 0 reads all there is.
	ReadBytes int `json:"read_bytes,omitempty" yaml:"read_bytes"`
	// ReceiveBuffer is the size of the socket's receive buffer in bytes (SO_RCVBUF), 0 leaves it to the kernel. A small
	// one lets a slow reader be felt by the server sooner.
	ReceiveBuffer int `json:"receive_buffer,omitempty" yaml:"receive_buffer"`
}

// RoomSize says that a part of all connections is in rooms of one size.
type RoomSize struct {
	// Members is how many connections each room has; the last room may have fewer.
	Members int `json:"members" yaml:"members"`
	// Share is the weight of this size beside the others, counted in connections, not in rooms.
	Share float64 `json:"share" yaml:"share"`
}

// mostKinds keeps a kind's number in a byte.
const mostKinds = 250

// Validate reports everything that is wrong with p.
func (p *Profile) Validate() error {
	var problems []error
	if len(p.Kinds) == 0 || len(p.Kinds) > mostKinds {
		problems = append(problems, fmt.Errorf("profile %q has %d kinds of clients instead of 1 to %d", p.Name, len(p.Kinds), mostKinds))
	}
	seen := map[string]bool{}
	for i, k := range p.Kinds {
		switch {
		case k.Name == "" || seen[k.Name]:
			problems = append(problems, fmt.Errorf("kind %d: name %q is empty or not its own", i, k.Name))
		case !positive(k.Share):
			problems = append(problems, fmt.Errorf("kind %s: share %v is not above 0", k.Name, k.Share))
		case !(k.Rate >= 0) || k.Rate > maxRate:
			problems = append(problems, fmt.Errorf("kind %s: rate %v is not between 0 and %v a second", k.Name, k.Rate, float64(maxRate)))
		case k.ReadBytes < 0 || k.ReceiveBuffer < 0:
			problems = append(problems, fmt.Errorf("kind %s: a number of bytes is below 0", k.Name))
		}
		seen[k.Name] = true
	}
	for i, r := range p.Rooms {
		if r.Members < 1 || !positive(r.Share) {
			problems = append(problems, fmt.Errorf("room size %d: %d members and a share of %v, each has to be above 0", i, r.Members, r.Share))
		}
	}
	return errors.Join(problems...)
}

func positive(share float64) bool { return share > 0 && !math.IsInf(share, 1) }

// golden spreads whole numbers evenly over 0 to 1: neighbours fall far apart, and however many are taken, each part
// of the range gets its share.
const golden = 0.6180339887498949

// kindOf is the kind of connection i. Kinds are spread evenly, so that each room has all of them.
func (p *Profile) kindOf(i int) int {
	_, at := math.Modf(float64(i) * golden)
	var all float64
	for _, k := range p.Kinds {
		all += k.Share
	}
	for kind, k := range p.Kinds {
		if at -= k.Share / all; at < 0 {
			return kind
		}
	}
	return len(p.Kinds) - 1
}

// roomOf is the room of connection i of total: an index into Rooms, and which one of that size. Connections that
// follow each other share a room.
func (p *Profile) roomOf(i, total int) (class, within int) {
	var all float64
	for _, r := range p.Rooms {
		all += r.Share
	}
	var before, first float64
	for class, r := range p.Rooms {
		before += r.Share
		end := math.Round(before / all * float64(total))
		if float64(i) < end || class == len(p.Rooms)-1 {
			return class, (i - int(first)) / r.Members
		}
		first = end
	}
	return 0, 0
}

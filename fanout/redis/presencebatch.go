package redis

// One batch of commands to a server: changes gathered into one script call for each room and one command for each user.

import (
	"context"
	_ "embed"
	"strconv"

	"github.com/redis/rueidis"
)

var (
	//go:embed lua/presence_room.lua
	presenceRoomText string
	//go:embed lua/presence_change.lua
	presenceChangeText string
	//go:embed lua/presence_forget.lua
	presenceForgetText string
	//go:embed lua/presence_list.lua
	presenceListText string
)

var (
	presenceChangeScript = newScript(presenceRoomText + presenceChangeText)
	presenceForgetScript = newScript(presenceRoomText + presenceForgetText)
	presenceListScript   = newScript(presenceListText)
)

// presenceCall is a call of a script, by its name until a server says that it does not know it.
type presenceCall struct {
	script     *script
	keys, args []string
	whole      bool
	again      bool // it had no answer once
}

func (c *presenceCall) build(b rueidis.Builder) rueidis.Completed {
	if c.whole {
		return c.script.whole(b, c.keys, c.args...)
	}
	return c.script.called(b, c.keys, c.args...)
}

// maxSwept is how many users whose time is over one call takes out, and tells as left.
const maxSwept = 100

// roomKeys returns the keys of a room, as the scripts want them.
func (p *Presence) roomKeys(room string) []string {
	l := p.layout
	return []string{l.Key("presence", room), l.Key("presence-due", room), l.Key("presence-quiet", room)}
}

// roomArgs returns the ARGV that all scripts about members begin with.
func (p *Presence) roomArgs(room string, announce bool) []string {
	publish := ""
	if announce {
		publish = "PUBLISH"
		if p.layout.cluster {
			publish = "SPUBLISH"
		}
	}
	return []string{p.generation, publish, p.layout.Channel(room)}
}

// onlineKey is the key that says where user is online. On a cluster too it is as backends expect it.
func (l Layout) onlineKey(user string) string { return l.prefix + "user:" + user + ":online" }

// presenceCommand is one command of a batch: a room's changes or a user's last.
type presenceCommand struct {
	presenceCall // without a script it is SET
	room         string
	announce     bool
	weight       int // how many changes are in it
	open         int // how many more may be
	done         bool
}

// presenceBatch is what is sent at once.
type presenceBatch struct {
	lane     *presenceLane
	commands []*presenceCommand
	rooms    map[string]*presenceCommand
	users    map[string]*presenceCommand
	sweepOn  []presenceChange // rooms that have more users whose time is over
}

func newPresenceBatch(l *presenceLane) *presenceBatch {
	return &presenceBatch{lane: l, rooms: map[string]*presenceCommand{}, users: map[string]*presenceCommand{}}
}

// add takes c into the batch, or reports false when it has to wait for the next.
func (b *presenceBatch) add(c *presenceChange) bool {
	if c.op == opOnline || c.op == opOffline {
		return b.addUser(c)
	}
	command := b.rooms[c.room]
	switch {
	case command == nil:
		if len(b.commands) == maxCommands {
			return false
		}
		command = b.addRoom(c)
	case command.open < len(c.users) || command.open == 0 || command.announce != c.announce:
		return false
	}
	command.weight += c.weight()
	switch c.op {
	case opEnter:
		command.args = append(command.args, "+", c.user)
		command.open--
	case opLeave:
		command.args = append(command.args, "-", c.user)
		command.open--
	default:
		for _, u := range c.users {
			count := min(max(int64(u.Connections), 1), 1<<32-1)
			command.args = append(command.args, strconv.FormatInt(count, 10), u.User)
		}
		command.open -= len(c.users)
	}
	if c.op != opLeave && len(c.users)+len(c.user) > 0 {
		b.lane.said.inRoom(c.room, c.announce)
	}
	return true
}

func (b *presenceBatch) addRoom(c *presenceChange) *presenceCommand {
	p := b.lane.p
	command := &presenceCommand{room: c.room, announce: c.announce, open: maxChanges, presenceCall: presenceCall{
		script: &presenceChangeScript, keys: p.roomKeys(c.room),
		args: append(p.roomArgs(c.room, c.announce), milliseconds(p.o.TTL), strconv.Itoa(maxSwept))}}
	b.rooms[c.room] = command
	b.commands = append(b.commands, command)
	return command
}

// addUser is add for a user's key. Of several changes in one batch the last one decides, and is all that is sent.
func (b *presenceBatch) addUser(c *presenceChange) bool {
	command := b.users[c.user]
	if command == nil {
		if len(b.commands) == maxCommands {
			return false
		}
		command = &presenceCommand{presenceCall: presenceCall{
			keys: []string{b.lane.p.layout.onlineKey(c.user)}, args: []string{b.lane.p.o.Node}}}
		b.users[c.user] = command
		b.commands = append(b.commands, command)
	}
	command.weight++
	if command.script = nil; c.op == opOffline {
		command.script = &releaseScript
	}
	b.lane.said.online(c.user, c.op == opOnline)
	return true
}

func (b *presenceBatch) build(c *presenceCommand) rueidis.Completed {
	builder := b.lane.client.B()
	if c.script != nil {
		return c.presenceCall.build(builder)
	}
	return builder.Set().Key(c.keys[0]).Value(c.args[0]).Px(b.lane.p.o.TTL).Build()
}

// send sends the batch and returns how many changes failed. What Redis does not know the script of is sent again, and
// so is everything that a broken connection left without an answer: it may have been done, and doing it twice is doing
// it once.
func (b *presenceBatch) send() (failed int) {
	var wrong error
	for attempt := range 3 {
		ctx, cancel := context.WithTimeout(b.lane.p.writing, b.lane.p.o.Timeout)
		again, err := b.try(ctx)
		late := ctx.Err() != nil
		cancel()
		wrong = err
		if !again || late {
			break
		}
		if err != nil && attempt > 0 {
			b.lane.pause()
		}
	}
	for _, c := range b.commands {
		if !c.done {
			failed += c.weight
		}
	}
	b.lane.reached(wrong)
	return failed
}

// try sends what is not done yet, once. again says that it may help to send the rest once more.
func (b *presenceBatch) try(ctx context.Context) (again bool, wrong error) {
	var sent []*presenceCommand
	var commands rueidis.Commands
	for _, c := range b.commands {
		if !c.done {
			sent = append(sent, c)
			commands = append(commands, b.build(c))
		}
	}
	for i, result := range b.lane.client.DoMulti(ctx, commands...) {
		c, err := sent[i], result.Error()
		switch {
		case err == nil:
			c.done = true
			b.swept(c, result)
		case unknown(err):
			c.whole, again = true, true
		default:
			wrong = err
			again = again || !isAnswer(err)
		}
	}
	return again, wrong
}

// swept notes how many users a room's command took out beside its changes, and whether there are more.
func (b *presenceBatch) swept(c *presenceCommand, result rueidis.RedisResult) {
	if c.room == "" {
		return
	}
	n, err := result.AsInt64()
	if err != nil || n <= 0 {
		return
	}
	b.lane.p.counters.expired.Add(uint64(n))
	if n == maxSwept {
		b.sweepOn = append(b.sweepOn, presenceChange{op: opRefresh, room: c.room, announce: c.announce})
	}
}

package redis

// Whether what a server has of a room is all that was ever acknowledged, but for a last bit: it is if the server was
// there already, keeping all that it was told, when the one before it was still alive. So each server's data says when
// that server was last alive, and a copy of it says it, too. See lua/stand.lua.

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

const (
	// livesEvery is how often that is noted. A replica may be promoted without loss when it has followed its master for
	// so long, and 2 s for clocks that tell whole seconds.
	livesEvery = 2 * time.Second
	// rememberedLives is of how many servers it is known.
	rememberedLives = "16"
)

// live notes in the data of each part of the link that its server is alive. What becomes of that shows elsewhere. The
// script is sent whole: it is short and seldom, and then it can't be forgotten.
func (l *link) live(line *line) {
	var commands []rueidis.Completed
	for _, index := range l.b.partsOf(l) {
		commands = append(commands, livesScript.whole(line.client.B(), []string{l.b.layout.lives(index)}, line.run, rememberedLives))
	}
	line.client.DoMulti(context.Background(), commands...)
}

package redis

import "time"

// KeepListsFor sets how long an answer of Users may be given again. It is called before Start.
func (p *Presence) KeepListsFor(d time.Duration) { p.listAge = d }

// Abandon ends the goroutines without another word to Redis, as a kill of the process would.
func (p *Presence) Abandon() {
	p.abandons.Store(true)
	p.giveUp()
	_ = p.Close() // what it could say is said already
}

// PresenceKeys returns every key that presence has for name, as a room or a user, by what it is.
func PresenceKeys(l Layout, name string) map[string]string {
	p := &Presence{layout: l}
	keys := p.roomKeys(name)
	return map[string]string{"members": keys[0], "due": keys[1], "quiet": keys[2], "online": l.onlineKey(name),
		"channel": l.Channel(name)}
}

// CountConnections is countConnections.
var CountConnections = countConnections

package fanout

// Who is in a room, over all nodes.

// PresentUser is one user of a room and how many of its connections are members.
type PresentUser struct {
	User        string
	Connections int
}

// Presence knows who is in which room and who is online, over all nodes. It counts users: a node says so when the
// first of a user's connections on this node enters a room and when the last one leaves it, and repeats from time to
// time what still holds; what is not repeated within the TTL is forgotten, so that a killed node leaves no ghosts.
//
// None of its methods blocks but Start and Close; all may be called from any goroutine. Calls for one user in one room
// take effect in their order. What can't be stored, since the store is away or too much waits for it already, is
// dropped and counted: the next Refresh repairs it.
type Presence interface {
	// Start is called once, before anything else, and may wait for the store.
	Start() error
	// Enter says that user is in room on this node now, and Leave that it no longer is. With announce the room's
	// members are told when this changes who is present over all nodes: a publication of kind [MemberJoined] or
	// [MemberLeft] with From = user, by the road of all publications and without a Position. Not with Enter after
	// Enter, nor when the user is present on another node.
	Enter(room, user string, announce bool)
	Leave(room, user string, announce bool)
	// Refresh says who is in room on this node still, with their connections; it need not be all of them. It keeps
	// neither slice nor room beyond the call. With announce, users whose time was over are told as left.
	Refresh(room string, users []PresentUser, announce bool)
	// Users asks who is in room, over all nodes: at most limit users, sorted by name, and how many there are in all.
	// done is called exactly once, perhaps before Users returns, and must not block; the list is shared and must not be
	// changed. Answers may be some seconds old.
	Users(room string, limit int, done func(users []PresentUser, total int, err error))
	// Online says that user has its first connection on this node, or still has one, and Offline that the last one
	// ended.
	Online(user string)
	Offline(user string)
	// Close removes what this node has said, as far as the store answers within a few seconds, and waits for the
	// goroutines. Every Users still open is told ErrClosed, and so is every later one; other later calls do nothing.
	Close() error
}

package protocol

// ReplyType says what a Reply answers.
type ReplyType uint8

// The answers of contract section 3.
const (
	Joined ReplyType = iota + 1
	Left
	Published
	PresenceList
	HistoryList
	Pong
	Refreshed
	Failed
)

// Reply is the answer to one command.
type Reply struct {
	Type ReplyType
	// ID is the command's id as the client wrote it; nil is legal only for Failed.
	ID   []byte
	Room string
	// Position is where the room's stream stands (Joined, Published, HistoryList).
	Position Position
	// Recovered answers a join with Since; it is left out unless Since was given.
	Recovered, HasRecovered bool
	// Messages are the publications of a HistoryList or of a recovering Joined, oldest first. Their Type and
	// Room are not looked at: each is a Message in the reply's Room.
	Messages []Push
	// Users and Total answer a presence query.
	Users []PresentUser
	Total int
	// Expires is when a refreshed token ends, in Unix seconds.
	Expires int64
	// Code, Detail and RetryAfter (milliseconds, 0 = none) describe a Failed.
	Code       ErrorCode
	Detail     string
	RetryAfter int64
}

// PresentUser is one user of a room and how many of its connections are members.
type PresentUser struct {
	User        string
	Connections int
}

// PushType says what a Push tells.
type PushType uint8

// What the server says unasked, contract section 3.
const (
	Welcome PushType = iota + 1
	Message
	MemberJoined
	MemberLeft
	Gap
	Expiring
	Shutdown
)

// Push is something the server tells a client unasked. Which fields count depends on Type.
type Push struct {
	Type PushType
	Room string
	// Data, Kind, From, Position and Time (Unix milliseconds) are a Message's; From, the offset and Time
	// are left out when empty or zero.
	Data     []byte
	Kind     Kind
	From     string
	Position Position
	Time     int64
	// User is whom MemberJoined, MemberLeft and Welcome speak of.
	User string
	// Connection, Node, Heartbeat (seconds), Expires (Unix seconds, 0 = never) and Rooms are a Welcome's.
	Connection string
	Node       string
	Heartbeat  int
	Expires    int64
	Rooms      []string
	// In is seconds until the token ends (Expiring) or after which to reconnect (Shutdown).
	In int
}

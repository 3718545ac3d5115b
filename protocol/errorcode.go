package protocol

// ErrorCode is the reason of a Failed reply. It leaves the connection open.
type ErrorCode uint8

// The codes of contract section 3. NoError is the zero value and is never sent.
const (
	NoError ErrorCode = iota
	BadRequest
	BadRoom
	Forbidden
	NotJoined
	RateLimited
	TooManyRooms
	TooLarge
	Unavailable
	Unrecoverable
	Internal
)

var errorWords = [...]string{"", "bad_request", "bad_room", "forbidden", "not_joined", "rate_limited",
	"too_many_rooms", "too_large", "unavailable", "unrecoverable", "internal"}

// String is the word on the wire.
func (e ErrorCode) String() string {
	if int(e) < len(errorWords) {
		return errorWords[e]
	}
	return "internal"
}

// CheckRoom reports whether name is a legal room name of at most limit bytes: [A-Za-z0-9._~:-]+
func CheckRoom(name []byte, limit int) bool {
	if len(name) == 0 || len(name) > limit {
		return false
	}
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == '~', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}

package auth

// One pattern alone, for whoever has patterns without a token: the room rules of the configuration.

// CheckPattern says what is wrong with a pattern, nil if nothing is.
func CheckPattern(pattern string) error { return checkPattern(pattern) }

// MatchPattern reports whether room matches a pattern that CheckPattern has let through. It does not allocate.
func MatchPattern(pattern, room string) bool { return matchWild(pattern, bytesOf(room)) }

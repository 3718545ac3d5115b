//go:build race

package redis_test

// raceEnabled tells tests that measure that the race detector takes its share.
const raceEnabled = true

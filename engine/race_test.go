//go:build race

package engine

// raceEnabled tells tests that measure memory or time that the race detector takes its share.
const raceEnabled = true

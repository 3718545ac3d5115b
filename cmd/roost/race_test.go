//go:build race

package main

// raceEnabled tells tests of many clients that the race detector makes each of them dear.
const raceEnabled = true

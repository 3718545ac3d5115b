//go:build race

package e2e

const (
	// fraction of the clients that tests of balancers open: watched, client and server take five times as long.
	fraction = 2
	// evenness is how many times the average a second may bring: a busy machine bunches up what left evenly.
	evenness = 2.5
)

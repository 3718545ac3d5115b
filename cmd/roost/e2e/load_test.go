//go:build !race

package e2e

const (
	// fraction of the clients that tests of balancers open.
	fraction = 1
	// evenness is how many times the average a second may bring.
	evenness = 1.5
)

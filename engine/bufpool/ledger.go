//go:build !loopcheck

// The ledger of an ordinary build: nothing, at no cost.

package bufpool

const checked = false

type ledger struct{}

func (ledger) handOut([]byte)  {}
func (ledger) giveBack([]byte) {}
func (ledger) reuse([]byte)    {}

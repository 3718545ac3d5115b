package fanout_test

import (
	"testing"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
)

func TestMemoryHistorySuite(t *testing.T) {
	fanouttest.RunHistory(t, func(_ *testing.T, retention func(string) fanout.Retention) fanouttest.HistoryBroker {
		return fanout.NewMemoryHistory(retention, manyBytes)
	})
}

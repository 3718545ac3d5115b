package load

// The line that says how things are.

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roost-ws/roost/bench/load/reactor"
)

// line makes progress lines of one task.
type line struct {
	do     string
	begin  int64
	before reactor.State
	at     int64
}

func (s *Swarm) newLine(t *reactor.Task) *line {
	return &line{t.Do, t.Begin, s.state(), t.Begin}
}

// next is the line for a state; rates are since the last one.
func (p *line) next(now reactor.State) string {
	at := reactor.Now()
	each := time.Duration(at - p.at).Seconds()
	if each <= 0 {
		each = 1
	}
	text := fmt.Sprintf("%-6s %4ds  %s open", p.do, max(0, (at-p.begin)/int64(time.Second)), grouped(int64(now.Open)))
	if now.Dialing > 0 {
		text += fmt.Sprintf(", %s connecting", grouped(int64(now.Dialing)))
	}
	rate := func(now, before int64, what string) {
		if now != before {
			text += fmt.Sprintf(", %s %s/s", grouped(int64(float64(now-before)/each+0.5)), what)
		}
	}
	rate(now.Sent, p.before.Sent, "sent")
	rate(now.Received, p.before.Received, "received")
	if failed := now.Failed - p.before.Failed; failed > 0 {
		text += fmt.Sprintf(", %s failed", grouped(failed))
	}
	if ended := total(now.Ended) - total(p.before.Ended); ended > 0 {
		text += fmt.Sprintf(", %s ended", grouped(int64(ended)))
	}
	p.before, p.at = now, at
	return text
}

func total(counts map[string]int) int {
	all := 0
	for _, n := range counts {
		all += n
	}
	return all
}

// grouped is a number with its thousands apart.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

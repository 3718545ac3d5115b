package compare

import (
	"fmt"
	"time"

	"github.com/roost-ws/roost/bench"
)

// ledger collects what is measured into a report's figures and curves, in the order in which they first appear.
type ledger struct{ report *bench.Report }

// figure adds one round's value of a figure.
func (l *ledger) figure(f bench.Figure, server string, v bench.Value) {
	figures := &l.report.Figures
	at := -1
	for i := range *figures {
		if (*figures)[i].ID == f.ID {
			at = i
		}
	}
	if at < 0 {
		at = len(*figures)
		*figures = append(*figures, f)
	}
	known := &(*figures)[at]
	if s := known.Of(server); s != nil {
		s.Values = append(s.Values, v)
		return
	}
	known.Samples = append(known.Samples, bench.Sample{Server: server, Values: []bench.Value{v}})
}

// point adds one round's value at a place of a curve.
func (l *ledger) point(c bench.Curve, server string, x float64, v bench.Value) {
	line := l.line(c, server)
	for i := range line.Points {
		if line.Points[i].X == x {
			line.Points[i].Values = append(line.Points[i].Values, v)
			return
		}
	}
	line.Points = append(line.Points, bench.Point{X: x, Values: []bench.Value{v}})
}

func (l *ledger) line(c bench.Curve, server string) *bench.Line {
	at := -1
	for i := range l.report.Curves {
		if l.report.Curves[i].ID == c.ID {
			at = i
		}
	}
	if at < 0 {
		at = len(l.report.Curves)
		l.report.Curves = append(l.report.Curves, c)
	}
	lines := &l.report.Curves[at].Lines
	for i := range *lines {
		if (*lines)[i].Server == server {
			return &(*lines)[i]
		}
	}
	*lines = append(*lines, bench.Line{Server: server})
	return &(*lines)[len(*lines)-1]
}

func (l *ledger) remark(format string, args ...any) {
	l.report.Remarks = append(l.report.Remarks, fmt.Sprintf(format, args...))
}

// What the figures mean, for readers who never saw the project.
var (
	memoryStands = bench.Figure{ID: "memory-stands", Title: "Memory a connection, as it stands", Group: "Memory", Unit: "B", Better: bench.Less,
		Explain: "Resident memory of the server process for each further idle connection in one room, a second after the last one was opened, garbage included. Growth between two numbers of connections, so what the program itself takes is left out."}
	memoryUser = bench.Figure{ID: "memory-user", Title: "Memory a connection, garbage collected", Group: "Memory", Unit: "B", Better: bench.Less,
		Explain: "The same after the server was asked to collect its garbage and give free memory back: what a connection really needs."}
	memoryKernel = bench.Figure{ID: "memory-kernel", Title: "Kernel memory a connection", Group: "Memory", Unit: "B", Better: bench.Less,
		Explain: "What the kernel keeps for the server's end of a connection, half of what both ends take on this machine. No server can change much about it: it is what the figures above should be seen against."}
	memoryAll = bench.Figure{ID: "memory-all", Title: "Memory a connection, kernel included", Group: "Memory", Unit: "B", Better: bench.Less,
		Explain: "Both together: what one more connection takes of the machine's memory."}
	handshakes = bench.Figure{ID: "handshakes-cpu", Title: "Handshakes a second of server CPU", Group: "Opening", Unit: "/CPU s", Better: bench.More,
		Explain: "WebSocket handshakes that the server completes for each second of processor time, TCP set-up included. Roost checks a signed token in each; the others let everybody in."}
	handshakeRate = bench.Figure{ID: "handshakes-rate", Title: "Handshakes a second", Group: "Opening", Unit: "/s", Better: bench.More,
		Explain: "How fast connections were opened one after the other, limited by server, client and kernel together."}
	churnTurns = bench.Figure{ID: "churn-cpu", Title: "Open and close turns a second of server CPU", Group: "Opening", Unit: "/CPU s", Better: bench.More,
		Explain: "Connections opened and closed again, over and over, for each second of the server's processor time."}
	stormBack = bench.Figure{ID: "storm-rate", Title: "Return after a cut", Group: "Opening", Unit: "/s", Better: bench.More,
		Explain: "All connections are cut at the same moment and come back as fast as they are let in: how many were back each second, until the last one."}
	stormShare = bench.Figure{ID: "storm-share", Title: "Return after a cut, against opening at rest", Group: "Opening", Unit: "", Better: bench.More,
		Explain: "The same as a share of the rate at which this server took the same connections at rest, in the same round. 1 is no slower than at rest."}
	fanoutCPU = bench.Figure{ID: "fanout-cpu", Title: "Deliveries a second of server CPU, few publications", Group: "Fan-out", Unit: "/CPU s", Better: bench.More,
		Explain: "One publication now and then to all members of one large room: deliveries for each second of the server's processor time."}
	fanoutLast = bench.Figure{ID: "fanout-last", Title: "Delay of the last member, few publications", Group: "Fan-out", Unit: "ms", Better: bench.Less,
		Explain: "How long after a publication was due its last member had it, at p99."}
	fanoutHighest = bench.Figure{ID: "fanout-highest", Title: "Most deliveries a second without loss", Group: "Fan-out", Unit: "/s", Better: bench.More,
		Explain: "The highest of the rising rates at which every member had every publication, in order, and the last one in time."}
	fanoutDelay = bench.Curve{ID: "fanout-delay", Title: "Fan-out at rising rates: delay of the last member", Group: "Fan-out",
		XName: "publications", XUnit: "/s", YName: "delay of the last member, p99", YUnit: "ms", LogX: true, LogY: true,
		Explain: "Publications to one large room, faster at each step. A server's line ends at the first step that it did not manage: something was lost, came out of order, or came too late."}
	fanoutLoad = bench.Curve{ID: "fanout-load", Title: "Fan-out at rising rates: share of the processor", Group: "Fan-out",
		XName: "publications", XUnit: "/s", YName: "server's share of its processor", YUnit: "", LogX: true,
		Explain: "How busy the server was at each of these steps."}
)

// echoCPU is the figure of a closed loop with so many messages under way on each connection.
func echoCPU(inFlight int) bench.Figure {
	how := "Each connection sends a message and waits for it to come back before it sends the next."
	if inFlight > 1 {
		how = fmt.Sprintf("Each connection keeps %d messages under way.", inFlight)
	}
	return bench.Figure{ID: fmt.Sprintf("echo-%d-cpu", inFlight), Title: fmt.Sprintf("Echo, %d in flight: messages a second of server CPU", inFlight),
		Group: "Echo", Unit: "/CPU s", Better: bench.More, Explain: how + " Messages for each second of the server's processor time."}
}

// rateFigure is one quantile of the delays at a fixed rate.
func rateFigure(rate float64, procs int, quantile string) bench.Figure {
	with := "one processor"
	if procs > 1 {
		with = fmt.Sprintf("GOMAXPROCS %d on the same processor", procs)
	}
	return bench.Figure{ID: fmt.Sprintf("rate-%.0f-procs-%d-%s", rate, procs, quantile), Title: fmt.Sprintf("Delay at %.0f messages/s, %s, %s", rate, quantile, with),
		Group: "Latency at fixed rates", Unit: "ms", Better: bench.Less,
		Explain: "From the moment a message was due to be sent, whether or not it could be, until it was back."}
}

func rateCPU(rate float64, procs int) bench.Figure {
	f := rateFigure(rate, procs, "cpu")
	f.Title = fmt.Sprintf("Server CPU at %.0f messages/s, GOMAXPROCS %d", rate, procs)
	f.Unit, f.Explain = "share", "The part of its processor that the server used at that rate."
	return f
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }

package report

import (
	"fmt"
	"math"
	"time"

	"github.com/roost-ws/roost/bench"
)

// sample is a report as a whole scenario set over six servers leaves it, marks included.
func sample() *bench.Report {
	r := &bench.Report{
		Title:   "roost and five other WebSocket servers",
		Command: "roost bench compare --servers roost,goroutine,gorilla,coder,gws,nbio --rounds 3 --out report",
		Started: time.Date(2026, 11, 24, 14, 5, 0, 0, time.UTC),
		Took:    47*time.Minute + 31*time.Second,
		Rounds:  3,
		Machine: []bench.Fact{
			{Key: "cpu", Name: "Processor", Value: "AMD EPYC 7B13"},
			{Key: "cpus", Name: "Processors", Value: "2"},
			{Key: "memory", Name: "Memory", Value: "7.6 GiB"},
			{Key: "kernel", Name: "Kernel", Value: "Linux 6.12.41"},
			{Key: "go", Name: "Go", Value: "go1.26.8"},
			{Key: "net.core.somaxconn", Name: "net.core.somaxconn", Value: "4096"},
			{Key: "net.ipv4.tcp_rmem", Name: "net.ipv4.tcp_rmem", Value: "4096 131072 6291456"},
			{Key: "nofile", Name: "Open files", Value: "20000"},
		},
		Settings: []bench.Fact{
			{Key: "connections", Name: "Connections", Value: "9,000"},
			{Key: "payload", Name: "Payload", Value: "125 bytes of text"},
			{Key: "cpus-server", Name: "Processors of the server", Value: "1 (pinned)"},
			{Key: "cpus-client", Name: "Processors of the load generator", Value: "1 (pinned)"},
		},
		Servers: []bench.Server{
			{Name: "roost", About: "Event loops, one a processor; no goroutine for a connection.", Version: "v0.4.0", Command: "roost serve --config bench.yaml", Ours: true},
			{Name: "goroutine", About: "One goroutine a connection on gobwas/ws: the usual kind of server, written with care.", Version: "v1.5.0", Command: "roost bench serve --listen 127.0.0.1:9001"},
			{Name: "gorilla", About: "gorilla/websocket, one goroutine to read and one to write.", Version: "v1.5.3", Command: "others gorilla --listen 127.0.0.1:9002"},
			{Name: "coder", About: "coder/websocket (was nhooyr.io/websocket).", Version: "v1.8.14", Command: "others coder --listen 127.0.0.1:9003"},
			{Name: "gws", About: "lxzan/gws, one goroutine a connection.", Version: "v1.8.9", Command: "others gws --listen 127.0.0.1:9004"},
			{Name: "nbio", About: "lesismal/nbio: event loops and a pool of goroutines.", Version: "v1.6.7", Command: "others nbio --listen 127.0.0.1:9005"},
		},
		Remarks: []string{"Client and server share one machine over loopback: a network would add its own delay to all of them alike."},
	}
	r.Figures = sampleFigures(r.Servers)
	r.Curves = sampleCurves(r.Servers)
	return r
}

// sampleFigure is the middle of each server's values, and who used how much of their processors meanwhile.
type sampleFigure struct {
	id, title, group, unit, explain string
	better                          bench.Better
	middles                         [6]float64
	client, server                  float64
}

func sampleFigures(servers []bench.Server) []bench.Figure {
	var figures []bench.Figure
	for n, s := range []sampleFigure{
		{"memory-user", "Memory of the process, a connection", "Memory", "B", "How much the server's resident memory grows with each idle connection: the slope from 1,000 to 9,000 of them, so that what a server needs anyway does not count.", bench.Less, [6]float64{531, 2670, 9890, 8420, 4640, 1320}, 0, 0},
		{"memory-kernel", "Memory of the kernel, a connection", "Memory", "B", "What the kernel keeps for each connection: socket, file, epoll entry. No server can do much about it.", bench.Less, [6]float64{4102, 4110, 4096, 4121, 4104, 4133}, 0, 0},
		{"memory-total", "Both, for a million connections", "Memory", "B", "The slopes of both, times a million: what a machine needs.", bench.Less, [6]float64{4.63e9, 6.78e9, 13.9e9, 12.5e9, 8.74e9, 5.45e9}, 0, 0},
		{"handshakes", "Handshakes for a second of processor", "Handshakes", "/CPU s", "Connections opened and closed again, for each second of processor time that the server used.", bench.More, [6]float64{38900, 27400, 18200, 16900, 24800, 21100}, 0.81, 0.97},
		{"handshake-p99", "Time until a connection is ready, p99", "Handshakes", "ms", "Of 100 clients, 99 were connected within this time, at 2,000 new ones a second.", bench.Less, [6]float64{2.1, 2.4, 3.9, 4.2, 2.3, 3.2}, 0.35, 0.4},
		{"echo-1", "Echoes for a second of processor, 1 connection", "Echo", "/CPU s", "Messages sent and had back on one connection, one at a time.", bench.More, [6]float64{61200, 48800, 43100, 35600, 49900, 41000}, 0.72, 0.7},
		{"echo-1000", "Echoes for a second of processor, 1,000 connections", "Echo", "/CPU s", "The same over 1,000 connections at once.", bench.More, [6]float64{183000, 112000, 98700, 71200, 118000, 131000}, 0.88, 0.99},
		{"latency-p50", "Echo at 10,000 a second, median", "Latency", "ms", "From the moment at which a message was due until it was back.", bench.Less, [6]float64{0.081, 0.094, 0.102, 0.118, 0.091, 0.134}, 0.31, 0.22},
		{"latency-p99", "Echo at 10,000 a second, p99", "Latency", "ms", "Of 100 messages, 99 were back within this time.", bench.Less, [6]float64{0.61, 0.58, 1.42, 2.9, 0.66, 3.8}, 0.31, 0.22},
		{"fanout", "Deliveries for a second of processor", "Fan-out", "/CPU s", "A publication in a room of 9,000 members is 9,000 deliveries.", bench.More, [6]float64{1.32e6, 121000, 98400, 83500, 144000, 156000}, 0.7, 0.98},
		{"fanout-rate", "Publications a second before it breaks", "Fan-out", "/s", "The highest rate at which every member still had every publication, and 99 of 100 within 250 ms.", bench.More, [6]float64{320, 14, 10, 10, 20, 20}, 0.6, 0.98},
		{"storm", "All clients back after a cut", "Storm", "s", "All 9,000 connections are cut at once and come back as they can: until the last one is ready.", bench.Less, [6]float64{1.9, 2.4, 3.6, 4.4, 2.6, 3.1}, 0.77, 0.94},
	} {
		f := bench.Figure{ID: s.id, Title: s.title, Group: s.group, Unit: s.unit, Explain: s.explain, Better: s.better}
		for i, server := range servers {
			f.Samples = append(f.Samples, bench.Sample{Server: server.Name, Values: sampleValues(s, n, i)})
		}
		figures = append(figures, f)
	}
	// On roost the load generator was the limit in one round, and in all of them with 1,000 connections.
	saturate(&figures[6].Samples[0].Values[0])
	saturate(&figures[6].Samples[0].Values[1])
	saturate(&figures[6].Samples[0].Values[2])
	saturate(&figures[9].Samples[0].Values[1])
	figures[8].Samples[5].Values[2].Mark = "3 lost"
	figures[8].Samples[5].Values[2].Value = 212
	figures[11].Samples = figures[11].Samples[:5] // nbio was not measured
	return figures
}

func saturate(v *bench.Value) { v.Mark, v.ClientShare, v.ServerShare = "client saturated", 0.99, 0.83 }

// wobble is a steady stand-in for what differs from round to round, -1 to 1.
func wobble(seed int) float64 {
	return math.Sin(float64(seed)*12.9898) * math.Cos(float64(seed)*4.1414)
}

func sampleValues(s sampleFigure, figure, server int) []bench.Value {
	var values []bench.Value
	for round := range 3 {
		v := bench.Value{Value: s.middles[server] * (1 + 0.06*wobble(figure*97+server*13+round))}
		if s.client > 0 {
			v.ClientShare = s.client * (1 + 0.03*wobble(round+server))
			v.ServerShare = min(1, s.server*(1+0.02*wobble(round+figure)))
		}
		values = append(values, v)
	}
	return values
}

func sampleCurves(servers []bench.Server) []bench.Curve {
	echo := bench.Curve{
		ID: "echo-latency", Title: "Latency of an echo as the rate rises", Group: "Latency",
		Explain: "1,000 connections send messages at a fixed rate that rises from step to step; the line is the p99. Where a server no longer keeps up, it turns up steeply.",
		XName:   "Messages a second", XUnit: "/s", YName: "p99", YUnit: "ms", LogX: true, LogY: true,
	}
	fanout := bench.Curve{
		ID: "fanout-latency", Title: "Fan-out until it breaks", Group: "Fan-out",
		Explain: "Publications go to a room of 9,000 members at rising rates; the line is the p99 of all deliveries. A step counts as broken when deliveries are lost or the limit is passed by far.",
		XName:   "Publications a second", XUnit: "/s", YName: "p99 of a delivery", YUnit: "ms", LogX: true, LogY: true, Limit: 250,
	}
	breaks := [6]float64{320, 14, 10, 10, 20, 20}
	knees := [6]float64{140e3, 88e3, 76e3, 52e3, 93e3, 70e3}
	for i, server := range servers {
		e, f := bench.Line{Server: server.Name}, bench.Line{Server: server.Name}
		for n, rate := range []float64{1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000} {
			if rate > 2*knees[i] {
				break
			}
			base := 0.4 + 0.12*float64(i) + 0.3*math.Pow(rate/knees[i], 3)*20
			e.Points = append(e.Points, samplePoint(rate, base, n+i*7, ""))
			if rate > knees[i] {
				saturateAll(e.Points[len(e.Points)-1].Values, fmt.Sprintf("%d late", 1000*(i+1)))
			}
		}
		for n, rate := range []float64{1, 2, 5, 10, 20, 50, 100, 200, 320, 500} {
			mark := ""
			if rate > breaks[i] {
				mark = fmt.Sprintf("%d lost", 40*(n+i))
			}
			base := 24 + 9*float64(i) + 190*math.Pow(rate/breaks[i]*0.9, 2)
			f.Points = append(f.Points, samplePoint(rate, base, n+i*5, mark))
			if mark != "" {
				break
			}
		}
		echo.Lines = append(echo.Lines, e)
		fanout.Lines = append(fanout.Lines, f)
	}
	return []bench.Curve{echo, fanout}
}

func samplePoint(x, y float64, seed int, mark string) bench.Point {
	p := bench.Point{X: x}
	for round := range 3 {
		p.Values = append(p.Values, bench.Value{Value: y * (1 + 0.12*wobble(seed*3+round)), Mark: mark})
	}
	return p
}

func saturateAll(values []bench.Value, mark string) {
	for i := range values {
		values[i].Mark = mark
	}
}

// Socket buffers: what all of TCP may hold, what one socket may, and how much of it is bytes not even sent.

package sysctl

import "fmt"

const (
	// manyConnections is from where on buffers of each are a matter of the machine.
	manyConnections = 100_000
	// bufferMax is a socket buffer that does behind a balancer nearby: 1 ms x 1 Gbit/s are 125 KB.
	bufferMax = 256 << 10
	// generousBuffer is what many connections should not have each.
	generousBuffer = 1 << 20
	// slowClients is the share of clients, in percent, that are counted with a full send buffer.
	slowClients = 5
	// mostTCPMem is the share of memory, in percent, that TCP may be given.
	mostTCPMem = 40
	// receiveOverbooking is how often over the receive buffers of all sockets may promise the memory of TCP.
	receiveOverbooking = 50
	// lowAt is what a socket may have unsent, for programs that don't say so themselves.
	lowAt = 128 << 10
)

func bufferKnobs() []Knob {
	const wmem, rmem = "net.ipv4.tcp_wmem", "net.ipv4.tcp_rmem"
	return []Knob{{
		ID: "tcp_mem", Keys: []string{tcpMem}, Reads: []string{"/proc/net/sockstat"}, Scope: ScopeMachine, Cause: CauseTCPMem,
		Needed: "pages: high = 1.5 N + 5 % of N with a full send buffer, at most 40 % of memory; low 1/2, pressure 3/4 of it",
		Why:    "a publication to everybody takes a page of each socket until it is acknowledged; above pressure all are squeezed, above high data is dropped",
		Risk:   "a flood may take that much memory from everything else",
		judge:  judgeTCPMem,
		holds: func(f *Facts, t *Target) Figure {
			pages := f.settings(tcpMem, 3)
			if pages == nil {
				return Figure{}
			}
			return known(pages[2] / t.sockets())
		},
		want: func(f *Facts, t *Target) []Setting {
			high := f.wantedTCPMem(t)
			return []Setting{{Key: tcpMem, Value: fmt.Sprintf("%d %d %d", high/2, high/4*3, high), Direction: AtLeast}}
		},
	}, {
		ID: "tcp_rmem", Keys: []string{rmem}, Scope: ScopeNetwork,
		Needed: "max x N <= 50 x tcp_mem, or max <= 262,144",
		Why:    "what a peer may have in our receive buffers: max x N is the ceiling of an attack",
		Risk:   "bulk transfers over long distances get slower, of everything on the machine",
		judge:  judgeReceiveBuffer,
		want:   always(Setting{Key: rmem, Value: "4096 16384 262144", Direction: AtMost}),
	}, {
		ID: "tcp_wmem", Keys: []string{wmem}, Scope: ScopeNetwork,
		Needed: "max <= 1 MiB from 100,000 connections on",
		Why:    "what the kernel keeps for a client that does not read, beside our own bounded queue",
		Risk:   "bulk transfers over long distances get slower, of everything on the machine",
		judge: func(f *Facts, t *Target) Finding {
			found := maxOfThree(f, wmem)
			if found.Verdict == Pass && t.Connections >= manyConnections && f.settings(wmem, 3)[2] > generousBuffer {
				found.Verdict, found.Need = Warn, "4096 16384 262144"
			}
			return found
		},
		want: always(Setting{Key: wmem, Value: "4096 16384 262144", Direction: AtMost}),
	}, {
		ID: "notsent_lowat", Keys: []string{"net.ipv4.tcp_notsent_lowat"}, Scope: ScopeNetwork,
		Needed: "131,072 from 100,000 connections on, for programs that don't set it themselves",
		Why:    "keeps what a slow client has not taken in the program, where it is bounded, and not in the kernel",
		Risk:   "more wake-ups for bulk transfers",
		judge:  judgeNotSent,
		want:   always(number("net.ipv4.tcp_notsent_lowat", lowAt, AtMost)),
	}}
}

const tcpMem = "net.ipv4.tcp_mem"

// wantedTCPMem is the high mark in pages.
func (f *Facts) wantedTCPMem(t *Target) uint64 {
	sockets := t.n() * t.sockets()
	pages := sockets*3/2 + sockets*slowClients/100*(bufferMax/f.pageSize())
	if f.MemoryTotal.Known {
		pages = min(pages, f.MemoryTotal.Value/f.pageSize()*mostTCPMem/100)
	}
	return pages
}

func judgeTCPMem(f *Facts, t *Target) Finding {
	marks := f.settings(tcpMem, 3)
	if marks == nil {
		return Finding{Verdict: Skip, Because: tcpMem + " can't be read here: it belongs to the machine, look there"}
	}
	sockets, wanted := t.n()*t.sockets(), f.wantedTCPMem(t)
	found := atLeast(known(marks[2]), sockets, wanted, tcpMem, fmt.Sprintf(
		"high: 1.5 x %s + 5 %% x %d pages of a full buffer, at most 40 %% of memory = %s pages (%s); at least a page each",
		count(sockets), bufferMax/f.pageSize(), count(wanted), size(float64(wanted*f.pageSize()))))
	if now := f.Live.TCPPages; now.Known && now.Value > marks[0] {
		found.Verdict = max(found.Verdict, Warn)
		if now.Value > marks[1] {
			found.Verdict = Fail
		}
		found.Because += fmt.Sprintf("; %s pages are in use, above %s", count(now.Value), count(marks[0]))
	}
	return found
}

// maxOfThree is the finding for the last of a parameter's three numbers, to be judged.
func maxOfThree(f *Facts, key string) Finding {
	three := f.settings(key, 3)
	if three == nil {
		return missing(key)
	}
	return Finding{Have: "max " + count(three[2])}
}

func judgeReceiveBuffer(f *Facts, t *Target) Finding {
	const rmem = "net.ipv4.tcp_rmem"
	found := maxOfThree(f, rmem)
	if found.Verdict == Skip {
		return found
	}
	most := float64(f.settings(rmem, 3)[2])
	promised := most * float64(t.n()*t.sockets())
	marks := f.settings(tcpMem, 3)
	if marks == nil {
		found.Because = "tcp_mem is not visible here; from 100,000 connections on at most 1 MiB each"
		if t.Connections >= manyConnections && most > generousBuffer {
			found.Verdict, found.Need = Warn, "4096 16384 262144"
		}
		return found
	}
	allowed := receiveOverbooking * float64(marks[2]) * float64(f.pageSize())
	found.Because = fmt.Sprintf("%s x %s = %s, of 50 x tcp_mem = %s", size(most), count(t.n()*t.sockets()), size(promised), size(allowed))
	if promised > allowed && most > bufferMax {
		found.Verdict, found.Need = Warn, "4096 16384 262144"
	}
	return found
}

func judgeNotSent(f *Facts, t *Target) Finding {
	have := f.setting("net.ipv4.tcp_notsent_lowat")
	if !have.Known {
		return missing("net.ipv4.tcp_notsent_lowat")
	}
	const off = 1<<32 - 1
	found := Finding{Have: count(have.Value)}
	if have.Value == off {
		found.Have = "off"
	}
	switch {
	case t.Role == Node:
		found.Because = "a node sets 65,536 on its own sockets"
	case t.Connections < manyConnections:
		found.Because = "fewer than 100,000 connections"
	case have.Value > generousBuffer:
		found.Verdict, found.Need = Warn, count(lowAt)
	}
	return found
}

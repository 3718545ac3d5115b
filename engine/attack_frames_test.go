package engine

// Frames and messages beyond those of protocol_test.go and compress_test.go: deadlines that somebody tries to put
// off, floods of what costs nothing to send, and compressed messages that cost more than they say.

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/protocol/deflate"
	"github.com/roost-ws/roost/protocol/deflate/deflatetest"
	"github.com/roost-ws/roost/protocol/frame"
)

// TestEveryFirstByte is B2 in full: of the 256 bytes that a frame can begin with, those that RFC 6455 section 5.2 knows
// begin a frame, and each other one ends the connection before a second byte is there.
func TestEveryFirstByte(t *testing.T) {
	g := besiege(t, nil, enginetest.Options{})
	begins := func(first int) bool {
		switch ws.OpCode(first & 15) {
		case ws.OpText, ws.OpBinary:
			return first&0x70 == 0
		case ws.OpPing, ws.OpPong, ws.OpClose:
			return first&0xf0 == 0x80
		}
		return false
	}
	bad := 0
	for first := range 256 {
		if !begins(first) {
			bad++
		}
	}
	last := []byte{0x80, 0x80, 1, 2, 3, 4} // an empty continuation that ends a message
	g.attack(t, "all", counts{closedSeries("protocol"): float64(bad), closedSeries("normal"): float64(256 - bad)}, func(t *testing.T) {
		for first := range 256 {
			c := enginetest.Dial(t, g.addr, "/raw/first", enginetest.Options{NoCloseReply: !begins(first)})
			c.SendRaw([]byte{byte(first)})
			if !begins(first) {
				c.ExpectClose(1002)
				c.ExpectEOF()
				c.Close()
				continue
			}
			c.SendRaw(last[1:])
			if first&0x80 == 0 {
				c.SendRaw(last)
			}
			switch op := ws.OpCode(first & 15); op {
			case ws.OpPing:
				c.ExpectPong("")
			case ws.OpPong:
				c.ExpectNothing()
			default:
				if f := c.ReadFrame(); f.Op != op || len(f.Payload) != 0 {
					t.Errorf("%#x: answered with opcode %d %q", first, f.Op, f.Payload)
				}
				if op == ws.OpClose {
					continue
				}
			}
			c.CloseHandshake(1000)
		}
	})
	g.end()
}

// TestDeadlinesHold: a message that was begun has to end in time, whatever else is sent meanwhile (B6).
func TestDeadlinesHold(t *testing.T) {
	t.Parallel()
	const limit = 500 * time.Millisecond
	g := besiege(t, func(o *Options) { o.Limits.MessageTimeout = limit }, enginetest.Options{})
	ping, pong := piece(true, ws.OpPing, "1"), piece(true, ws.OpPong, "1")
	attacks := []struct {
		name         string
		begin, drips []byte
		cut          bool // each drip is one more byte of drips
	}{
		{"B6 pings between fragments", piece(false, ws.OpText, "begin"), ping, false},
		{"B6 pongs between fragments", piece(false, ws.OpText, "begin"), pong, false},
		{"B6 empty fragments", piece(false, ws.OpText, "begin"), piece(false, ws.OpContinuation, ""), false},
		{"B6 pongs in pieces between fragments", piece(false, ws.OpText, "begin"), bytes.Repeat(pong, 20), true},
		{"B6 a ping a byte at a time", nil, piece(true, ws.OpPing, strings.Repeat("p", 100)), true},
		{"B6 a close a byte at a time", nil, enginetest.CloseFrame(1000, strings.Repeat("c", 100)), true},
	}
	var clients []*enginetest.Client
	before := scrape(g.server)
	for _, a := range attacks {
		c := enginetest.Dial(t, g.addr, "/raw/drip", enginetest.Options{})
		c.SendRaw(a.begin)
		clients = append(clients, c)
	}
	began := time.Now()
	drip := time.NewTicker(40 * time.Millisecond)
	defer drip.Stop()
	for i := 0; time.Since(began) < 2*limit; i++ {
		for k, a := range attacks {
			if a.cut {
				clients[k].SendRaw(a.drips[i : i+1])
			} else {
				clients[k].SendRaw(a.drips)
			}
		}
		<-drip.C
	}
	for k, a := range attacks {
		clients[k].SetTimeout(limit / 2) // less than a deadline that was put off by the last drip
		var closed *enginetest.ClosedError
		if _, _, err := clients[k].Receive(); !errors.As(err, &closed) || closed.Code != 4408 {
			t.Errorf("%s: %v", a.name, err)
		}
	}
	grew(t, g.server, before, float64(len(attacks)), closedSeries("slow_message"))
	g.other.mustBeServed()
	for _, c := range clients {
		c.Close()
	}
	g.end()
}

// TestDeadlineThatHasPassed: bytes may come between a deadline and the tick that looks at it. It is then looked at
// with that tick, and not when the token ends (B6, G1).
func TestDeadlineThatHasPassed(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, nil) })
	dialV1(t, addr, "/ws", v1As(enginetest.Token(t, "ada", time.Hour, "**")))
	if err := s.each(t.Context(), func(l *Loop, done func()) {
		defer done()
		for slot := range l.conns.slots() {
			if c := l.conns.at(slot); c.phase == phaseOpen {
				c.nextPing = l.tick - 1
				if c.arm(l); c.timer.Due() > l.tick+1 {
					t.Errorf("a ping due at tick %d is looked at at %d", c.nextPing, c.timer.Due())
				}
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// TestUnaskedPongs: a pong may come whenever a client likes, is a sign of life, and measures nothing (B16).
func TestUnaskedPongs(t *testing.T) {
	g := besiege(t, nil, enginetest.Options{})
	const flood = 20_000
	g.attack(t, "a flood of them", counts{"roost_ping_rtt_seconds_count": 0, closedSeries("peer_gone"): 1}, func(t *testing.T) {
		c := enginetest.Dial(t, g.addr, "/raw/pongs", enginetest.Options{})
		stamp := string(binary.BigEndian.AppendUint64(nil, 12345)) // one that could be ours
		c.SendRaw(bytes.Repeat(piece(true, ws.OpPong, stamp), flood))
		c.ExpectNothing()
		c.SendText("alive")
		c.ExpectText("alive")
		c.Reset()
	})
	g.end()
}

// TestEndlessFragments: fragments without end are cut off after a few, and what comes behind costs nothing (C1).
func TestEndlessFragments(t *testing.T) {
	g := besiege(t, nil, enginetest.Options{})
	fault := frame.ErrTooManyFragments
	g.attack(t, "a million", once(frameSeries(fault.Reason()), closedSeries("policy")), func(t *testing.T) {
		var before, after runtime.MemStats
		c := enginetest.Dial(t, g.addr, "/raw/endless", enginetest.Options{NoCloseReply: true})
		some := bytes.Repeat(piece(false, ws.OpContinuation, ""), 10_000)
		runtime.ReadMemStats(&before)
		c.SendRaw(piece(false, ws.OpText, canary))
		for range 100 {
			c.SendRaw(some)
		}
		c.ExpectClose(1008)
		runtime.ReadMemStats(&after)
		if grown := int64(after.TotalAlloc) - int64(before.TotalAlloc); grown > 2<<20 {
			t.Errorf("a million fragments made %d bytes of garbage", grown)
		}
		c.ExpectEnd()
	})
	g.end()
}

// besiegeCompressing is a siege of a server that compresses.
func besiegeCompressing(t *testing.T, edit func(*Options), token string) *siege {
	return besiege(t, func(o *Options) {
		compressing(o)
		if edit != nil {
			edit(o)
		}
	}, enginetest.Options{Token: token})
}

var deflating = offering("permessage-deflate", enginetest.Options{})

// TestManyBombs: what bombs inflate to is thrown away as soon as it is too much, a bomb in a bomb is only inflated
// once, and memory does not follow (E1).
func TestManyBombs(t *testing.T) {
	g := besiegeCompressing(t, nil, "")
	const bombs = 100
	inner := squeeze(t, make([]byte, 4<<20))
	bomb := compressedFrame(ws.OpBinary, inner)
	tooLarge := fmt.Sprintf("roost_inflate_errors_total{reason=%q}", deflate.ErrTooLarge.Reason())
	g.attack(t, "E1 a hundred", counts{closedSeries("too_big"): bombs, tooLarge: bombs}, func(t *testing.T) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range bombs {
			c := enginetest.Dial(t, g.addr, "/raw/bombs", deflating)
			c.SendFrame(bomb, true)
			c.ExpectClose(1009)
			c.Close()
		}
		runtime.ReadMemStats(&after)
		if each := (int64(after.TotalAlloc) - int64(before.TotalAlloc)) / bombs; each > 128<<10 {
			t.Errorf("a bomb makes %d bytes of garbage", each)
		}
	})
	g.attack(t, "E1 one in another", counts{tooLarge: 0}, func(t *testing.T) {
		c := enginetest.Dial(t, g.addr, "/raw/nested", enginetest.Options{})
		bomber := enginetest.Dial(t, g.addr, "/raw/nested", deflating)
		bomber.SendFrame(compressedFrame(ws.OpBinary, squeeze(t, inner)), true)
		c.ExpectBinary(inner)
		c.Reset()
		bomber.Reset()
	})
	g.end()
}

// TestBombBeforeToken: nothing is inflated for somebody whose token was not looked at or not good (E4).
func TestBombBeforeToken(t *testing.T) {
	g := besiegeCompressing(t, func(o *Options) { verifying(t, o, nil) }, enginetest.Token(t, "eve", time.Hour, "**"))
	tooLarge := fmt.Sprintf("roost_inflate_errors_total{reason=%q}", deflate.ErrTooLarge.Reason())
	bomb := enginetest.AppendFrame(nil, compressedFrame(ws.OpBinary, squeeze(t, make([]byte, 2<<20))), true)
	for name, token := range map[string]string{"E4 no token": "", "E4 a bad one": canary} {
		g.attack(t, name, counts{tooLarge: 0, "roost_messages_received_total": 1, refusedSeries("token"): 1}, func(t *testing.T) {
			o := deflating
			o.Token = token
			c := enginetest.DialRaw(t, g.addr, o)
			c.SendRaw(append(enginetest.UpgradeHead(g.addr, "/raw/a", o), bomb...))
			if a := c.ReadHTTP(); a.Status != 401 {
				t.Errorf("status %d", a.Status)
			}
			c.Close()
			g.other.mustBeServed() // the one message that is received
		})
	}
	g.end()
}

// TestAnswersAreNotCompressed: what a client is told alone may hold what is secret beside what another chose; its
// size must not tell how alike they are (E6).
func TestAnswersAreNotCompressed(t *testing.T) {
	g := besiegeCompressing(t, func(o *Options) { o.Node = strings.Repeat("node-", 40) }, "")
	g.attack(t, "E6 welcome and answers", counts{"roost_compressed_total": 0}, func(t *testing.T) {
		o := offering("permessage-deflate", v1)
		c := enginetest.Dial(t, g.addr, "/ws?room="+strings.Repeat("a", 100), o)
		id := strings.Repeat("i", 60)
		for _, command := range []string{"", `{"type":"ping","id":"` + id + `"}`, `{"type":"join","id":"` + id + `","room":"*"}`,
			`{"type":"join","id":"` + id + `","room":"` + strings.Repeat("b", 100) + `"}`} {
			if command != "" {
				c.SendText(command)
			}
			if f := c.ReadFrame(); f.Rsv != 0 || len(f.Payload) < 64 {
				t.Errorf("%s: RSV %d, %d bytes", command, f.Rsv, len(f.Payload))
			}
		}
		c.CloseHandshake(1000)
	})
	g.end()
}

// TestCompressedOddities are payloads that a decoder of whole streams might take.
func TestCompressedOddities(t *testing.T) {
	g := besiegeCompressing(t, nil, "")
	text := []byte(strings.Repeat(canary+" again and again ", 20))
	var second bytes.Buffer
	w, err := flate.NewWriterDict(&second, flate.BestCompression, text)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(text)
	_ = w.Flush()
	referring := bytes.TrimSuffix(second.Bytes(), []byte("\x00\x00\xff\xff"))
	corrupt := fmt.Sprintf("roost_inflate_errors_total{reason=%q}", deflate.ErrCorrupt.Reason())
	emptyBlocks := bytes.Repeat([]byte("\x00\x00\x00\xff\xff"), 12<<10)
	for _, tc := range []struct {
		name   string
		frames [][]byte
		code   int // 0: it is a message, and empty
	}{
		{"E7 a reference into the message before", [][]byte{squeeze(t, text), referring}, 1007},
		{"E7 a reference into nothing", [][]byte{referring}, 1007},
		{"E8 sixty kilobytes of empty blocks", [][]byte{emptyBlocks[:60<<10]}, 1007},
		{"E8 sixty kilobytes of code tables", [][]byte{deflatetest.CodeTables(60 << 10)}, 1007},
		{"E8 no block at all", [][]byte{{}}, 0},
		{"E8 a reserved kind of block", [][]byte{{0x06}}, 1007},
		{"E8 a stored block that lies about its length", [][]byte{[]byte("\x00\x05\x00\xff\xffhello")}, 1007},
	} {
		grown := once(corrupt, closedSeries("invalid_text"))
		if tc.code == 0 {
			grown = counts{corrupt: 0}
		}
		g.attack(t, tc.name, grown, func(t *testing.T) {
			c := enginetest.Dial(t, g.addr, "/raw/odd", deflating)
			began := time.Now()
			for i, payload := range tc.frames {
				c.SendFrame(compressedFrame(ws.OpText, payload), true)
				if i < len(tc.frames)-1 || tc.code == 0 {
					c.ReadMessage()
				}
			}
			if tc.code != 0 {
				c.ExpectClose(tc.code)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("it took %v", took)
			}
			c.Reset()
		})
	}
	g.end()
}

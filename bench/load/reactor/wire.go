package reactor

// What passes between a worker and the process that started it: lines of JSON.

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/roost-ws/roost/bench"
)

// Setup is the first line a worker reads.
type Setup struct {
	Target bench.Target `json:"target"`
	// Worker is this worker's number, from 0, and Workers how many there are. A worker has the connections whose
	// number has the remainder Worker when divided by Workers.
	Worker  int `json:"worker"`
	Workers int `json:"workers"`
	// Connections is how many connections all workers together will have at most, which a profile's rooms are cut by.
	Connections int `json:"connections"`
	// Timeout bounds the way from connect to ready.
	Timeout time.Duration `json:"timeout_ns"`
	// Profile is what kinds of connections there are; nil if all are alike.
	Profile *Profile `json:"profile,omitempty"`
}

// Kind of work, the Do of a Task.
const (
	DoOpen   = "open"   // numbers First to Last
	DoIdle   = "idle"   // until Until
	DoEcho   = "echo"   // closed loop with InFlight, or open loop with PerSecond
	DoFanout = "fanout" // PerSecond publications by connection 0
	DoChurn  = "churn"  // turns on numbers First to Last
	DoStorm  = "storm"  // cut at Begin, all back by Until
	DoMix    = "mix"    // the setup's profile
	DoStop   = "stop"   // ends what is being done, which then answers with what it has
)

// Task is a line that tells a worker what to do. One is done at a time, and each but DoStop is answered once it is
// done. Rates are those of all workers together.
type Task struct {
	ID int    `json:"id"`
	Do string `json:"do"`
	// Begin is when to begin, From and Until the measured window, as in Now.
	Begin int64 `json:"begin,omitempty"`
	From  int64 `json:"from,omitempty"`
	Until int64 `json:"until,omitempty"`
	// Grace is how long after Until messages are still waited for.
	Grace time.Duration `json:"grace_ns,omitempty"`
	// Run goes into stamps; it is not 0 and another one for each task that sends messages.
	Run uint32 `json:"run,omitempty"`
	// First and Last are a range of connection numbers, the last one excluded.
	First int `json:"first,omitempty"`
	Last  int `json:"last,omitempty"`
	// PerSecond is a rate of connects, messages, publications or turns.
	PerSecond float64 `json:"per_second,omitempty"`
	// InFlight is how many messages each connection has under way.
	InFlight int `json:"in_flight,omitempty"`
	// UnderWay is how many handshakes this worker has under way at most; 0 is no bound.
	UnderWay int `json:"under_way,omitempty"`
	// CloseFrame ends a churn's turns with the closing handshake instead of a reset.
	CloseFrame bool `json:"close_frame,omitempty"`
	// Backoff is the least and MostBackoff the longest wait after a failure in a storm.
	Backoff     time.Duration `json:"backoff_ns,omitempty"`
	MostBackoff time.Duration `json:"most_backoff_ns,omitempty"`
}

// Answer is a line from a worker: the first one says that it is ready or, with Error, that it is not; later ones
// have a State while something is done, and a Result at its end.
type Answer struct {
	ID     int     `json:"id,omitempty"`
	Error  string  `json:"error,omitempty"`
	State  *State  `json:"state,omitempty"`
	Result *Result `json:"result,omitempty"`
}

// State is how a worker is doing. All but Open and Dialing count since the worker began.
type State struct {
	Open     int   `json:"open"`    // connections that are ready
	Dialing  int   `json:"dialing"` // connecting, or in the handshake
	Failed   int64 `json:"failed"`  // attempts to connect
	Sent     int64 `json:"sent"`    // messages
	Received int64 `json:"received"`
	// Ended counts connections that ended while they should have stayed, by cause.
	Ended map[string]int `json:"ended,omitempty"`
}

// Result is what came of a task; each has the parts that its kind of work has.
type Result struct {
	State State `json:"state"` // at the end
	// Connections took part, as members of a fan-out for example.
	Connections int `json:"connections,omitempty"`
	// Last is when the last of what was waited for happened, as in Now; 0 if nothing did.
	Last int64 `json:"last,omitempty"`
	// Done counts connections that became ready, or turns.
	Done int64 `json:"done,omitempty"`
	// Attempts counts connects, Failures those that failed, by cause.
	Attempts int64          `json:"attempts,omitempty"`
	Failures map[string]int `json:"failures,omitempty"`
	Pings    int64          `json:"pings,omitempty"`
	// Sent and Received count messages that belong to the measured window.
	Sent       int64 `json:"sent,omitempty"`
	Received   int64 `json:"received,omitempty"`
	Disorder   int64 `json:"disorder,omitempty"`
	Duplicates int64 `json:"duplicates,omitempty"`
	Strays     int64 `json:"strays,omitempty"`
	// Delay and SendDelay are nil when nothing was measured.
	Delay     *Delays `json:"delay,omitempty"`
	SendDelay *Delays `json:"send_delay,omitempty"`
	// Arrivals are a fan-out's publications of the window one by one.
	Arrivals Arrivals `json:"arrivals,omitempty"`
	// Kinds are the parts of a mix, in the profile's order.
	Kinds []KindResult `json:"kinds,omitempty"`
}

// KindResult is how the connections of one kind did.
type KindResult struct {
	Connections int     `json:"connections"`
	Sent        int64   `json:"sent"`
	Received    int64   `json:"received"`
	Ended       int     `json:"ended"`
	Delay       *Delays `json:"delay"`
}

// Arrival is what became of one publication: how many members it came to, and how long after its due time the last
// of them had it.
type Arrival struct {
	Count uint32
	Last  time.Duration
}

// Arrivals are publications in the order of their numbers. There may be millions, so that in JSON they are one
// string of binary.
type Arrivals []Arrival

const arrivalSize = 12

// MarshalJSON writes 12 bytes for each, in base64.
func (a Arrivals) MarshalJSON() ([]byte, error) {
	packed := make([]byte, 0, arrivalSize*len(a))
	for _, one := range a {
		packed = binary.LittleEndian.AppendUint32(packed, one.Count)
		packed = binary.LittleEndian.AppendUint64(packed, uint64(one.Last))
	}
	return json.Marshal(packed)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (a *Arrivals) UnmarshalJSON(text []byte) error {
	var packed []byte
	if err := json.Unmarshal(text, &packed); err != nil {
		return fmt.Errorf("decode arrivals: %w", err)
	}
	if len(packed)%arrivalSize != 0 {
		return fmt.Errorf("decode arrivals: %d bytes are not a multiple of %d", len(packed), arrivalSize)
	}
	*a = make(Arrivals, 0, len(packed)/arrivalSize)
	for ; len(packed) > 0; packed = packed[arrivalSize:] {
		*a = append(*a, Arrival{binary.LittleEndian.Uint32(packed), time.Duration(binary.LittleEndian.Uint64(packed[4:]))})
	}
	return nil
}

package bench

import "time"

// Run is what one run of one scenario measured. Parts that the scenario does not have are nil.
type Run struct {
	Scenario string        `json:"scenario"`
	Target   Target        `json:"target"`
	Started  time.Time     `json:"started"`
	Took     time.Duration `json:"took_ns"`
	Open     *Opening      `json:"open,omitempty"`
	Idle     *Idling       `json:"idle,omitempty"`
	Echo     *Echoing      `json:"echo,omitempty"`
	Fanout   *Fanning      `json:"fanout,omitempty"`
	Churn    *Churning     `json:"churn,omitempty"`
	Storm    *Storming     `json:"storm,omitempty"`
	Mix      *Mixing       `json:"mix,omitempty"`
	// ClientCPU is the processor time that the load generator used while it measured, ClientCPUs the processors it
	// could have used. A share near 1 says that the client, not the server, set the figures.
	ClientCPU  time.Duration `json:"client_cpu_ns"`
	ClientCPUs int           `json:"client_cpus"`
	Measured   time.Duration `json:"measured_ns"`
	// Ended counts connections that ended while they should have stayed, by cause.
	Ended map[string]int `json:"ended,omitempty"`
}

// ClientShare is the part of its processors that the load generator used while it measured, 0 to 1.
func (r *Run) ClientShare() float64 {
	if r.Measured <= 0 || r.ClientCPUs == 0 {
		return 0
	}
	return r.ClientCPU.Seconds() / (r.Measured.Seconds() * float64(r.ClientCPUs))
}

// Opening is how a number of connections were opened.
type Opening struct {
	Asked    int            `json:"asked"`
	Opened   int            `json:"opened"`
	Failures map[string]int `json:"failures,omitempty"` // by cause: a status, "timeout", "reset", ...
	Took     time.Duration  `json:"took_ns"`
	Delay    Latency        `json:"delay"` // connect to ready
}

// Idling is a time in which clients did nothing but answer pings.
type Idling struct {
	Held     time.Duration `json:"held_ns"`
	Pings    int64         `json:"pings"`
	Received int64         `json:"received"` // messages nobody asked for
}

// Echoing is a time in which connections sent messages and had them back.
type Echoing struct {
	InFlight int     `json:"in_flight,omitempty"` // closed loop: messages under way on each connection
	Rate     float64 `json:"rate,omitempty"`      // open loop: messages a second over all connections
	Sent     int64   `json:"sent"`
	Received int64   `json:"received"`
	Late     int64   `json:"late"` // open loop: not back when the run ended
	Disorder int64   `json:"disorder"`
	// Duplicates came back more than once, Strays were another connection's.
	Duplicates int64         `json:"duplicates,omitempty"`
	Strays     int64         `json:"strays,omitempty"`
	Took       time.Duration `json:"took_ns"`
	Delay      Latency       `json:"delay"`      // from the moment a message was due
	SendDelay  Latency       `json:"send_delay"` // from due to written: the client's own share
}

// Fanning is a time in which publications went to the members of a room.
type Fanning struct {
	Members      int           `json:"members"`
	Rate         float64       `json:"rate"` // publications a second asked for
	Publications int64         `json:"publications"`
	Expected     int64         `json:"expected"` // deliveries that there should have been
	Deliveries   int64         `json:"deliveries"`
	Lost         int64         `json:"lost"` // never came within the time that the run waits after its end
	Disorder     int64         `json:"disorder"`
	Duplicates   int64         `json:"duplicates"`
	Took         time.Duration `json:"took_ns"`
	Delay        Latency       `json:"delay"`       // of each delivery, from the moment its publication was due
	LastMember   Latency       `json:"last_member"` // of each publication that came whole: until its last member had it
	SendDelay    Latency       `json:"send_delay"`
}

// Churning is connections opened and closed one after the other.
type Churning struct {
	Turns    int64          `json:"turns"`
	Failures map[string]int `json:"failures,omitempty"`
	Took     time.Duration  `json:"took_ns"`
	Delay    Latency        `json:"delay"` // connect to ready
}

// Storming is all connections cut at once, until they were back.
type Storming struct {
	Cut      int            `json:"cut"`
	Back     int            `json:"back"`
	Took     time.Duration  `json:"took_ns"` // from the cut until the last one was ready
	Refusals map[string]int `json:"refusals,omitempty"`
	Attempts int64          `json:"attempts"`
	Delay    Latency        `json:"delay"` // from the cut until ready, of each connection
}

// Mixing is a profile of clients of several kinds at once.
type Mixing struct {
	Profile string            `json:"profile"`
	Kinds   map[string]*Fared `json:"kinds"`
	Took    time.Duration     `json:"took_ns"`
}

// Fared is how one kind of clients of a mix did.
type Fared struct {
	Connections int     `json:"connections"`
	Sent        int64   `json:"sent"`
	Received    int64   `json:"received"`
	Ended       int     `json:"ended"`
	Delay       Latency `json:"delay"`
}

// Latency sums up a histogram of delays. All are zero when there were none.
type Latency struct {
	Count int64         `json:"count"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
}

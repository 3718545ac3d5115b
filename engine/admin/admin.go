package admin

// The server itself: what it is made from, its bounds, its start and its end.

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roost-ws/roost/engine"
)

// Bounds of the port. They are about a backend's needs and not about load: what loads a node comes in elsewhere.
const (
	headerTimeout = 5 * time.Second  // for the request head
	readTimeout   = 10 * time.Second // for the whole request
	writeTimeout  = 30 * time.Second // from the head to the answer's last byte; a profile asks for more by itself
	idleTimeout   = 30 * time.Second // between two requests
	answerTimeout = 5 * time.Second  // for loops and broker to answer

	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 1 << 20
	// maxConnections keeps this port within half of the descriptors that the engine reserves for everything but
	// client connections.
	maxConnections = 128
	maxRequests    = 64 // guarded ones, at once
)

// Options are what an Admin is made from. Server, Listen and Drain are needed.
type Options struct {
	// Server is the node that is shown and told what to do.
	Server *engine.Server
	// Listen is the address, host:port.
	Listen string
	// Key is the bearer key of the guarded routes. Without one they answer only this machine, see the package
	// comment.
	Key string
	// Pprof serves /debug/pprof/.
	Pprof bool
	// Drain starts the process's orderly end, by the same road as SIGTERM. It must not block. It is called once
	// at most, however many requests ask for it.
	Drain func()
	// Log is where the port speaks; nil = slog.Default.
	Log *slog.Logger
}

// Admin is the operator's port of one node.
type Admin struct {
	// Static after New.
	node    *engine.Server
	address string
	key     *[sha256.Size]byte // nil = none
	drain   func()
	log     *slog.Logger
	http    *http.Server
	routes  []route
	answer  time.Duration

	// Static after Start.
	listener net.Listener
	loopback bool // the listener can be reached from this machine only

	// Any goroutine.
	connections atomic.Int64
	requests    chan struct{} // holds one for each guarded request under way
	drainOnce   sync.Once
	serving     sync.WaitGroup
}

// New makes an Admin. It opens nothing.
func New(o Options) (*Admin, error) {
	switch {
	case o.Server == nil:
		return nil, errors.New("admin: a server is needed")
	case o.Listen == "":
		return nil, errors.New("admin: an address is needed")
	case o.Drain == nil:
		return nil, errors.New("admin: a way to drain is needed")
	}
	a := &Admin{node: o.Server, address: o.Listen, drain: o.Drain, log: o.Log, answer: answerTimeout,
		requests: make(chan struct{}, maxRequests)}
	if o.Key != "" {
		sum := sha256.Sum256([]byte(o.Key))
		a.key = &sum
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	a.routes = a.table(o.Pprof)
	a.http = &http.Server{
		Handler:                      a,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ConnState:                    a.count,
		ErrorLog:                     slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}
	return a, nil
}

// Start opens the listener and begins to serve; it blocks for no longer than that takes, and is called once.
func (a *Admin) Start() error {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", a.address)
	if err != nil {
		return fmt.Errorf("opening the operator's port: %w", err)
	}
	a.listener = listener
	address, ok := listener.Addr().(*net.TCPAddr)
	a.loopback = ok && address.IP.IsLoopback()
	if a.key == nil && !a.loopback {
		a.log.Warn("the API is off: it needs a key, because its address is not loopback", "address", listener.Addr())
	}
	a.serving.Go(func() {
		if err := a.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("the operator's port has failed", "error", err)
		}
	})
	return nil
}

// Addr is the listener's address, nil before Start.
func (a *Admin) Addr() net.Addr {
	if a.listener == nil {
		return nil
	}
	return a.listener.Addr()
}

// Close stops listening, waits for the requests under way until ctx ends, and then cuts off what is left. Its error
// is the context's if that was so. Blocks.
func (a *Admin) Close(ctx context.Context) error {
	err := a.http.Shutdown(ctx)
	if err != nil {
		_ = a.http.Close() // Shutdown's error is the one that tells
	}
	a.serving.Wait()
	return err
}

// count is told of each connection's states and refuses one too many: idle ones end by themselves, and a scrape that
// fails is better than a node without descriptors.
func (a *Admin) count(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if a.connections.Add(1) > maxConnections {
			_ = c.Close() // the server notices when it reads, and reports StateClosed
		}
	case http.StateClosed, http.StateHijacked:
		a.connections.Add(-1)
	}
}

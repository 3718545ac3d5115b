package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// The paths are the same on every engine.
const (
	echoPath = "GET /echo"
	roomPath = "GET /raw/{room}"
)

// newMux knows /healthz; the engines add the rest.
func newMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	return mux
}

// serveHTTP runs net/http in front of the libraries that build on it, with bounds on a handshake as in package
// baseline. When ctx ends, connections that were upgraded are left to the end of the process.
func serveHTTP(ctx context.Context, l net.Listener, mux http.Handler) error {
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	unhook := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer unhook()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

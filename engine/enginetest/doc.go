// Package enginetest holds what tests of a WebSocket server need on the client's side of a real socket.
//
// It owns three things. [Client] is one strict client for table tests: it fails the test on any breach of
// RFC 6455 or of HTTP by the server, and each of its waits is bounded by a deadline. [Swarm] is thousands of
// connections on a few goroutines of raw epoll (Linux only), for load, density, drain and hostile clients;
// [Child] runs one in a process of its own, because client and server would otherwise share one process's
// descriptors and one process's CPU figures. [ReadMemory], [ReadCPU] and [OpenFiles] read /proc.
//
// A Client belongs to one goroutine at a time. A Swarm's methods may be called from any goroutine; its
// callbacks run on the loop that owns the connection. Everything that takes a testing.TB must be called on
// the test's own goroutine, since it may call FailNow.
//
// The package never imports the server: it has its own framing, so that a mistake in the server's cannot
// cancel out against the same mistake here, and it never sleeps in the hope that something has happened.
package enginetest

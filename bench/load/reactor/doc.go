// Package reactor is the worker of the load generator: one epoll loop that opens thousands of WebSocket connections
// to a server, keeps them, makes them talk, and measures what comes back.
//
// It owns its sockets and everything about them: connect, the client's half of the opening handshake, frames,
// stamps in messages and the clock they are measured by. It shares nothing with the server but protocol/frame, which
// knows bytes only: whatever else the two have in common would hide its own faults.
//
// [Serve] is a worker's whole life. It reads a [Setup] and then one [Task] after another, a line of JSON each, and
// answers with [Answer] lines. Three goroutines work in it: one reads tasks, one writes answers, and one runs the
// loop, to whom all else belongs: none of the unexported types may be used from any other, and none takes a lock,
// but for the loop's inbox. Nothing on the loop blocks except waiting for events when there is nothing to do.
//
// A connection takes 64 bytes here beside what the kernel keeps for it. Input is parsed in the loop's one read
// buffer; only a message that has not come whole yet, or output that the socket did not take, has memory of its own
// for as long as that lasts. Nothing is allocated for a message.
//
// Times are nanoseconds of CLOCK_MONOTONIC ([Now]), which is the same in all processes of a machine: workers begin
// together by being told a time, and a message sent by one can be timed by another.
package reactor

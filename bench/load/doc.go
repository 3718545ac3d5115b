// Package load makes load for any server that speaks RFC 6455, and measures how the server bears it.
//
// A [Swarm] is a number of worker processes full of connections. [Start] starts them, [Swarm.Open] opens connections,
// and each further method is a scenario on what is open: [Swarm.Idle], [Swarm.Echo], [Swarm.Fanout], [Swarm.Churn],
// [Swarm.Storm] and [Swarm.Mix]. [Run] is one scenario from open to close, [WriteTable] what came of it in a form to
// read. [Worker] is what a program calls that is started as a worker.
//
// Workers are processes because a process may only have so many descriptors, and so that their processor time can be
// told from that of everything else and bound to processors of its own. What they do is package reactor's; this
// package starts them, tells all of them the same, and adds up what they answer. It opens no connection itself.
//
// What is measured is the client's side alone. Messages that are due at a rate have their delay counted from when
// they were due, not from when they were sent: a server, or a generator, that falls behind can't hide it. SendDelay is
// how much of that was the generator's own doing, and [Swarm.CPU] whether it had any processor left.
//
// A Swarm's methods may be called from any goroutine; all but CPU and the counters wait for one another and block
// until they are done or their context is. No connection's memory is ever the caller's.
package load

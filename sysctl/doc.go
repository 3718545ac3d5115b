// Package sysctl knows what a box can carry: which of its limits ends the connections and at what number, which
// settings make it slow or fragile before that, how each is put right for good, and how that is undone.
//
// The catalogue (descriptors.go, queues.go, ports.go, buffers.go, tcp.go, conntrack.go, memory.go, groups.go, cpu.go) holds
// a [Knob] for each thing
// that decides: where it is read, the needed value as a formula, why, and what is risky about it. [Read] collects
// [Facts] below a root, so that a test or a copy of another machine's files does as well as a machine. [Check] is a
// pure function of facts and a [Target]; what it says about the end of the road is [Forecast]. A [Sampler] reads what
// moves while a node runs. [NewPlan] says what [Plan.Apply] would write, [Undo] takes it back.
//
// What can't be read is skipped and never passed. Nothing here is ever made worse: a value that is better than the
// needed one stays. Control groups and the process's own limits are judged and never written; they belong to
// whoever started the process.
//
// Any goroutine may call anything; nothing keeps state between calls but the undo file. Reading takes a
// millisecond or two. Only Plan.Apply and Undo write, and they are for one operator at a time.
package sysctl

// Package bench holds the words that the parts of the proof share: what a load is aimed at (Target), what one run
// measured (Run), and what a comparison of servers came to (Report, Figure, Curve).
//
// The parts are packages of their own: load makes the load, probe reads what the kernel knows of a server process,
// baseline is a server of the usual kind to compare with, compare runs servers against each other and report
// writes what came out. None of them may import the engine: what judges it stands outside.
//
// Everything here is plain data: any goroutine may use it, nothing blocks, and the JSON form of each type is what
// is written to files and what passes between processes.
package bench

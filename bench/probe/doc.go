// Package probe reads what the kernel knows: the processor time and memory of a process, the memory that sockets
// take in the kernel itself, and what a report has to say about the machine it was made on.
//
// It only reads files under /proc and /sys and the clocks of processes, keeps nothing, and never asks the process
// that it measures: a server's own figures are no proof. Any goroutine may call anything here; nothing blocks
// for longer than the kernel takes to write a file.
package probe

// Package frame reads and writes RFC 6455 frames for an event loop: bytes in whatever pieces they arrive become
// messages and control frames, and payloads become frames.
//
// It owns the framing rules and nothing else: header checks, masking, reassembly of fragments and of payloads
// that come in pieces, size and fragment limits, UTF-8 of text messages, close bodies. It never reads or writes
// a socket, never waits, starts no goroutine, keeps no clock, and never panics on input. Inflating compressed
// messages is the caller's job (package deflate), and so is the UTF-8 check of what comes out.
//
// An [Assembler] belongs to one connection's byte stream and may be used by one goroutine at a time, in practice
// that connection's loop. It is only needed while [Assembler.Idle] says false, so a loop keeps one spare and
// hands it to the few connections that are in the middle of something. The functions that append frames are
// pure and may be called from any goroutine.
//
// Every verdict depends on the bytes received so far and never on how they were cut. A fault in a header or in
// uncompressed text is reported once the byte that proves it is there, one in a close body once the body is whole
// (RFC 6455, sections 5.2 to 5.6, 7.4 and 8.1). A fault is an [Error], which knows its close code and its metric
// label.
package frame

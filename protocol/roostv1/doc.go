// Package roostv1 speaks the dialect roost.v1: JSON text messages with one object in each.
//
// [Codec] turns a client's message into a [protocol.Command]. It keeps scratch between messages, so each event
// loop has one of its own and calls Decode only there. [Encoder] writes answers and pushes; it keeps nothing, and
// any goroutine may use it. Nothing here blocks, starts a goroutine, or changes its input.
//
// What counts as a message:
//
//   - It is JSON by RFC 8259, nothing before or after it but white space, nested at most 64 levels deep. A member
//     name that occurs twice in one object, the published data's objects included, is refused, because two
//     readers could disagree about what was said. A lone surrogate written as an escape is legal JSON, and
//     browsers write it for a string cut inside an emoji, so it passes.
//   - That its bytes are valid UTF-8 is the framing's promise and is not checked again.
//   - Members that the type does not know are ignored, so that later clients can talk to earlier servers. That
//     makes a client's "from", "offset" or "time" mean nothing. Types that only a server may send are refused.
//   - A member that the type does know must have the right kind; null is no substitute for leaving it out.
//
// The sentences that go with a refusal are fixed and never repeat a client's bytes.
package roostv1

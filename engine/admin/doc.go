// Package admin serves the operator's port: metrics, health, profiles, the API by which backends and operators
// publish, disconnect, look and drain, and the files of the console page and of the browser client.
//
// It is net/http on an address of its own, because its requests are few, its answers are whatever an operator asks
// for, and none of that may run on an event loop. It owns that listener and the goroutines behind it, and nothing
// else: every figure and every action is the [engine.Server]'s, through methods that any goroutine may call. The
// methods of [Admin] may be called from any goroutine too.
//
// Who may do what. /metrics, /healthz, /readyz, the console's page and the client are open to whoever reaches the
// port; the page shows what is guarded once it is given the key. /api/ and /debug/pprof/ are guarded: with a key by
// that key alone, and without one by being on this machine, where "this machine" is shown by listener, peer and Host
// together, so that neither a name that a web page points at 127.0.0.1 nor a proxy beside the node gets in. A web page
// from another origin is refused in both cases.
//
// What it never does: it sets no cookie, and no CORS header but on the client's two files, sends no redirect, reads no
// body before it knows who asks, repeats no key, token or error of the broker to a client, and waits for nothing
// longer than its bounds in admin.go say.
package admin

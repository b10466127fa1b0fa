// Package verity is the one way to Verity, for other services and for what runs
// inside this program.
//
// A call is admitted before it is sent: its path is brought into one canonical
// form and compared only then (path.go), its Clerk token is verified, the
// catalogue says whether there is such an operation and who may use it, and
// what sends a text passes the opt-out gate (admit.go). Then it is sent through
// one tuned connection pool under time limits, with a circuit breaker and with
// retries only where nothing can happen twice (upstream.go).
//
// Three doors lead there. POST /api/verity wraps the answer in an envelope
// (envelope.go). ANY /api/verity/proxy/… streams it as it is (proxy.go). Client
// is the door for MCP, chat and the sync rooms, which use the middleware's own
// token (client.go) and a few typed calls (texts.go, forward.go, broadcast.go).
//
// Gateway is an http.Handler that does its own routing: behind an
// http.ServeMux, which tidies paths with redirects, hostile paths would not
// arrive as they were sent. Mount it at the root of its own server.
package verity

// Package stage is the floor on which the sandbox's upstreams play. It gives
// every one of them the same things: a strict router, a loopback listener,
// counters and a bounded log of the requests seen, webhooks that are sent like
// the real ones and can be lost, doubled, delayed and reordered, mischief that
// is decided by a seed, and the control endpoints under /_sandbox/.
//
// An upstream embeds a *Stage and adds its own routes and state. What every
// control endpoint does is told in the doc of package sandbox.
//
// Decisions by chance are not drawn from one running generator: the n-th call
// of an operation meets the same mischief whatever other calls run beside it.
// So a run with the same seed is the same run, also when goroutines race.
package stage

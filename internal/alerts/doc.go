// Package alerts is the room of what is wrong with the system as a whole, and of
// telling somebody.
//
// Once a minute one instance takes a Sample: what the database and the figures
// that all processes share say about now. Rules are pure functions of a sample;
// each says what it finds wrong, or that it cannot tell. Next, a pure function
// too, lets an alert begin, last, get worse and end: one that begins again soon
// after its end is the same alert, so that something that comes and goes is not
// told each time. Alerts are rows in the database: a restart forgets nothing and
// tells nothing twice.
//
// Telling is a convergence like everything else here: what the receiver was told
// last is compared with how the alert stands. So a receiver that was away is told
// the latest only, and one that missed all of an alert hears nothing of it.
//
// A process that sees something which is not in the database (refused webhooks,
// calls of upstreams, what is left of a budget) keeps it in a Tally and writes it
// down every few seconds as figures.
//
// New things to watch: a field in Sample, a Probe that fills it, a Rule that
// judges it, and the probe's line in app.
package alerts

// Package replay puts many kept events back into their lanes, or ends many that
// are open.
//
// A replay is asked for with a filter. What it would come to is counted first
// (Estimate): events, people, and writes, for which the people are looked at as
// they are now. Then it is a row that a job works off, oldest event first, a few at
// a time, keeping its place; a job that dies is taken over by another.
//
// Replaying is safe because an event is only a hint: converge reads what both sides
// hold and writes what differs. An event about a contact that is older than what
// the sides agree on has nothing to say any more. It is counted as superseded and
// nothing is done about it.
//
// What was counted is what is done: events that came later, and more than the
// number that was confirmed, are not touched.
package replay

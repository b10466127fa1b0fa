// Package inbox is the way in. A webhook is read whole, its proof is checked on
// the raw bytes, what it says is decoded into a notice, and bytes, notice and
// the job that will process them are committed in one transaction. Only then is
// the sender answered: a 2xx from here means that nothing, not even a crash in
// the same instant, loses the event.
//
// Deliveries that arrive while a commit is on its way to disk share the next one
// (group commit). When the store is down, senders that try again are told to;
// Aloware, which never does, is held, and then its delivery is written to a
// spill file that is taken in later.
package inbox

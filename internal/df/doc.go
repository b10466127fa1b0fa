// Package df is the vocabulary of df-middleware: the nouns that every room of
// the program uses and that an operator would say aloud. A Source sends an
// Event; an Event is about a Contact on one Side; a call to a Side ends in a
// Verdict; what outsiders may read of a failure is an Error with a stable code.
//
// The package imports nothing of ours and does no I/O, so that everything else
// may rest on it.
package df

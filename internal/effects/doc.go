// Package effects is about what must happen once though it is tried more often: a
// call at an upstream that makes a message, a note, a record. Each has a row in
// the ledger under a key of its own, claimed before the call and settled after
// it. A call that was not answered is neither done nor undone: it is looked up
// before any second try, and what cannot be looked up is not tried again.
//
// The file effect.go is the state machine; Runner brings one effect about whose
// upstream can be asked whether it has happened.
package effects

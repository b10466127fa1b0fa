// Package lists decides which call lists and sequences a person is on, and
// brings that about at Aloware.
//
// What a person should be on is a pure function, Desired, of Facts (tags, stage,
// age of the contact, agent, consent: what the sides hold now, never the order in
// which events came) and of Rules, a table that operators write. It says for each
// membership which rule decided it, and for each rule what it said, and that is
// kept: "why is she on this list" and "why is she not" are answered from there.
//
// # What Aloware can do
//
// Aloware shows no lists. It adds a contact to lists by a write of the contact,
// and takes a contact off all lists at once; there is nothing in between. So what
// a contact is on is only known as far as we wrote it (Holding), taking somebody
// off one list means to take them off all and to add the rest again, and a list
// that somebody was put on by hand is lost on the way. Holdings are marked as not
// sure before a call and as sure after it; what is not sure is done again, which
// does no harm, since all these calls may be repeated. Diff is the pure function
// that says which calls are needed; a person whose lists agree costs none.
//
// # Who may be listed
//
// Consent is not a rule and no rule can overrule it. The gate is asked before
// every add, and again after it, because an opt-out may have come in between. If
// consent cannot be read nobody is added.
//
// # Brakes
//
// A mistake in a rule, or a directory that lost an agent, must not empty every
// list before anybody looks. A run over everybody that would move or take off
// more than a set share waits for a person to approve it, and so do single
// people's changes once too many have been made within an hour. What consent asks
// for is never held.
//
// The room imports no upstream room: Dialer is what it needs of Aloware, and
// Opportunities what it needs of GHL.
package lists

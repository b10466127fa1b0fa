// Package retention decides how long what we know is kept, and forgets a person.
//
// There are three ages. The body of a webhook, with its headers, is kept longest
// by its source's Policy.Payloads: after that its row only says that something
// came, and it can no longer be replayed. What happened and why (events, sync
// log, conflicts) is kept for Policy.History. What the law wants to see (calls,
// texts, who changed what, incidents) is kept for Policy.Records, five years at
// least. The chain of consent evidence is never cut, nor is the registry of
// opt-outs: an opt-out does not grow old.
//
// Sweeper deletes in small batches along indexes, each in a transaction of its
// own, and lets others write in between.
//
// Eraser empties or deletes what is known of one person: the list of tables is in
// the store (erasures.go), and a test on the schema fails for a table that
// nobody thought of. Of a number that opted out a slow, salted hash stays, by
// which the gate still refuses it and by which the opt-out comes back should the
// number do so. A person is erased here, not elsewhere: a contact that GHL or
// Aloware still holds is a new person with its next event.
package retention

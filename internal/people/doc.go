// Package people knows who is who. A Person is one human being as one row of
// contact_mappings: the contact at GHL, the contact at Aloware, the phone by
// which texts find them. Everything that happens to a person happens in that
// person's lane, so the first question about any event is Identify.
//
// The rules are careful on purpose, because a wrong join sends one person's
// texts to another person's record and cannot be seen from outside:
//
//   - An id of a side is proof. A phone joins only when exactly one active
//     person has it and that person is free on the asking side. An e-mail
//     joins only when exactly one active person has it and no phone disagrees.
//   - Whatever is ambiguous makes a new person and a Review item for an
//     operator; there is no "first hit".
//   - An ended person stays ended. Late events for them are answered with the
//     ended row, or with the person they were merged into.
//
// Merge, Split, Rekey and End are pure functions on rows. Directory applies
// them through a Registry, inside one short transaction that holds a lock on
// the phone; it makes no network calls.
package people

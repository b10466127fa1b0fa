// Package converge keeps what two sides hold about a person in agreement.
//
// Events are hints that something happened; they are never believed. For each
// person the Converger reads what GHL and Aloware hold now, compares it with
// what each of them held when they last agreed, and lets Plan decide what must
// be written where. Plan is a pure function. What was written is read back,
// because a 2xx is a claim, and then both values are kept as agreed.
//
// Agreed keeps one snapshot per side, not one common value. A side changed a
// field if and only if it differs from its own snapshot. From this follows most
// of what matters:
//
//   - Our own write, coming back as a webhook, differs from nothing.
//   - A side that rewrites values (case, spaces, notation) is not fought: the
//     pair "John" here and "JOHN" there is simply what was agreed.
//   - A tag that one side cannot remove is not resurrected on the other.
//   - A crash between a write and its record heals itself: the next run sees
//     equal values and agrees without writing.
//
// What a person ruled about a conflict comes before the rules: one side's value is
// to stand on both. It never overwrites what somebody wrote since.
//
// Everything a run decides is told as Decisions, Conflicts, Issues and LogEntry
// rows, which go to the Ledger in one call that fails when the lane's lease has
// been lost. They hold values and are for operators; they must not be logged.
//
// Consent (do-not-call, do-not-text) is not a field and is never planned here.
package converge

// Package calls is the room of telephone calls: Aloware tells of one call in up
// to six deliveries, in any order, and GHL gets one call log and one note.
//
// # From deliveries to a call
//
// A Call is the join of what its deliveries say (call.go). The join is
// commutative, associative and idempotent: whichever delivery comes first, twice
// or never, the same call results, and an older delivery takes nothing away from
// a newer one. What is shown of a call follows from the Call alone: the note
// (note.go), the tags by the operator's rules (rules.go), the status in the log.
//
// # From a call to GHL
//
// Desk keeps the Call and brings GHL to what follows from it (desk.go, show.go):
// the call log and the note are made once, as effects, and found again by altId
// and by the note's last line when an answer was lost; attachments, the note's
// later versions and tags are written when they differ from what was written
// last. It runs in the lane of the person concerned.
//
// GHL takes call logs only from the Marketplace app whose call provider is set.
// Without it the note alone tells of the call; the log is made up for by the next
// delivery, or by replaying one, once the app is there.
//
// # Recordings
//
// An address of a recording plays it for whoever has it, so it is sealed in the
// table and never shown. What is shown is a link of our own that ends (Links).
//
// The room imports no upstream room; what it needs are the interfaces GHL, Office,
// Links and Sealer.
package calls

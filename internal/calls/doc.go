// Package calls makes a telephone call readable in GHL, once. Aloware tells of one
// call in up to six deliveries (start, end, recording, restatement, summary and
// voicemail or transcript), in any order, doubled, or not at all.
//
//   - facts.go joins what deliveries say. The join does not care about order or
//     repetition, so neither does anything made of it.
//   - note.go and tags.go are pure: what the note about a call says, and which
//     tags the contact gets, by the rules of an operator.
//   - desk.go brings GHL there: one call log, one note that is updated, the
//     recording attached to the log, the tags.
//   - links.go signs links to recordings. Aloware's own lead to the audio without
//     a login, so they are kept sealed and never shown.
package calls

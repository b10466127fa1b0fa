// Package consent answers one question: may we? Opt-out is a join, not a field:
// once out, out, on every system, until a later explicit opt-in.
//
// # What was said
//
// Classify reads an inbound text. A text that is nothing but a keyword (STOP,
// ¡ALTO!, "Arrêt.", "stop 🛑") is certain, whatever its case, accents,
// punctuation and emoji. Otherwise the text is made plain, cut into sentences,
// and read against a phrase book from the top. Some of its lines are innocent:
// negations ("don't stop"), limits ("don't call before nine"), our own footers
// ("Reply STOP"), reactions that quote us, ordinary business ("stop by", "stop
// payment", "I gave you the wrong number"). What they name is taken out of the
// text before the lines below see it. A line that is not innocent ("please stop
// texting me", "take me off your list", "no me escriban más", "wrong number")
// makes a Stop that is not certain: it counts at once, and a person looks at it.
// Last, a sentence of its own that says no more than "please stop" counts. The
// letters of a keyword inside a word (weekend, dividend) are never seen, since
// whole words are compared. START and UNSTOP are exact; YES is a START only for
// a number whose own words keep it out of texts. Nothing free opts in.
// testdata/sentences.tsv holds several hundred labelled sentences.
//
// # What it means
//
// An Act is who said what, when, in which words, on which message. A Standing
// is the join of a number's acts: per scope (texts, calls) and per holder, the
// latest no and the latest yes by the time of the act. Acts may come doubled,
// late and in any order and end in the same standing. Ties go to the no. A text
// START answers the person's own words only; what GHL, Aloware or an operator
// set takes an operator's yes, which needs its evidence. A flag that turns false
// opts nobody in: it is noted, shown to a person, and set again.
//
// Recorder keeps acts inside the caller's transaction: the number's row of
// optout_registry, the rows of consent_fanout, and a link of consent_events,
// which is a hash chain. VerifyChain finds any edit, removal or reordering;
// Export writes evidence that VerifyExport can check without the database.
//
// # What follows
//
// Gate stands in front of every outbound text, call and list add, whoever asks.
// When consent cannot be read, the answer is no. Fan tells the other systems,
// each target on its own, until each is confirmed; Late says which take too
// long, Deadline when the law says so. Detect makes an incident of a text or a
// call that reached somebody after their opt-out, whoever made it.
package consent

// Package messages is the room of texts: each is an effect that happens once.
//
// Three things are done here, all in the lane of the person concerned:
//
//   - Record puts a text that came in or went out elsewhere into the person's
//     conversation at GHL (texting providers' and Aloware's texts).
//   - Deliver sends a text that an agent wrote in GHL: the consent gate first,
//     then Verity, from the number that the customer last wrote to.
//   - Report notes how far a text came; a text's state only ever goes forward.
//
// And one thing beside the lanes: Tell tells GHL how far a text came, as a step
// with tries of its own, because GHL answers 403 in the first seconds and a lane
// must not wait for that.
//
// # Once
//
// A call that makes something happen has a row in effects. The row is claimed
// before the call and finished after it; the machine is in effect.go. A row that
// is found claimed was left by a worker that died between the two, so whether it
// happened is not known, just as after a call that got no answer. What is not
// known is looked up before a second try: a logged text by its altId in the
// conversation. A text that was given to Verity is asked for again under the
// same Idempotency-Key, which Verity answers with the first one's receipt; that
// is the only second try that is made without looking.
//
// # Whose text is it
//
// message_mappings joins the ids that one text has at the texting system, GHL,
// Aloware, Verity and the carrier. A text that we sent for an agent comes back
// to us as "sent", under the carrier's id, which we never saw: it is recognised
// by GHL's message id where the sender echoes it, else by the words and the
// number, and is not put into the conversation a second time.
//
// The room imports no upstream room; what it needs of GHL and of Verity are the
// interfaces GHL and Sender.
package messages

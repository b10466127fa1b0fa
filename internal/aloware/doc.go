// Package aloware is the room of Aloware, the power dialler: it verifies and
// decodes Aloware's webhooks, speaks its public API, and presents it as a Side
// between which contacts converge.
//
// What shapes this package, all measured or documented by Aloware itself:
//
//   - A contact is found by phone number only, never by id or e-mail, and POST
//     /webhook/forms, which creates and updates, answers without an id. Hence every
//     write that makes a contact is followed by a lookup, and ids are compared
//     wherever one is known.
//   - An unknown path, and sometimes a bad token, is answered with HTTP 200 and a
//     web page. Hence a 2xx counts only together with JSON.
//   - The account's token travels in URLs (GET) and bodies (POST). It appears in no
//     error, and calls are named by operation, never by URL.
//   - Webhooks carry no signature, no delivery id and no zone (times are UTC), ids
//     as numbers or as text, and three naming styles of events. They are not
//     repeated when refused, so Decode always has an answer.
//
// # Limits that Aloware sets
//
// There is no call to remove a tag, to remove a contact from one list or one
// sequence (only from all), to clear an owner, to write the text opt-out flag, or
// to delete a contact. The lookup does not show address, zipcode, website and tags.
//
// A changed phone number is the hard case, because the number is the identity.
// Side.Rekey writes the new number with the old one in other_phone_numbers and
// looks up what came of it. Whether Aloware joins the two into one contact is not
// documented; where it does not, the person goes on under a new id, and these stay
// with the old contact: call and text history, the text opt-out flag (our own
// consent registry goes on holding it), fields the lookup does not show, lists and
// sequences. The old contact is taken off lists and sequences and is otherwise
// left as it is. The shape of other_phone_numbers differs between Aloware's
// documents (a list of label and number, which is sent) and its own n8n node (text).
package aloware

// Package ghl is the room of GoHighLevel (GHL), one of the two sides that hold
// contacts. It has five parts:
//
//   - Verifier proves on the raw bytes that a webhook came from GHL, or from a
//     sender that shares a secret with us.
//   - Decoder reads what a webhook says into a df.Notice and never fails: what
//     it cannot read is skipped with a reason.
//   - Client speaks the REST API with one strict request type per operation,
//     since GHL answers 422 to any property it does not expect, and reads the
//     answers leniently, since they differ from GHL's documents and between its
//     versions. Every failure is a *df.CallError with a verdict.
//   - Side is how converge sees GHL: read, find, create and write a contact.
//   - App is our Marketplace app: install link, OAuth callback, tokens that are
//     sealed before a store sees them, and a refresh that only one instance does.
//
// What to know about GHL before changing anything here:
//
//   - Webhooks carry no version of the entity and may come late, twice or never.
//     They are hints; the entity is read again before anything is decided.
//   - One Ed25519 key signs the webhooks of all apps and all locations. A valid
//     signature therefore does not say that an event is ours; Decoder checks the
//     location, and the app where it matters.
//   - A duplicate contact is answered with 400, not 409, and names the contact
//     that is already there. A contact that is gone may be a 400 as well.
//   - "tags" in an update replaces all tags. We never send it; tags are added
//     and removed by their own endpoints.
//   - The trailing slash of POST /contacts/ and POST /conversations/ is part of
//     the path; other paths have none.
//   - A Private Integration Token cannot act for a conversation provider. Calls
//     that log messages need the token of the app that owns the provider, so
//     there may be two Clients for one location.
//   - A refresh token works once. The same request repeated within 30 seconds
//     gets the same pair again, which is the only way back from a lost answer.
//
// The package talks to the network only through a Caller (egress.Client).
package ghl

// Package ghlworld is a GoHighLevel location that runs on loopback: contacts,
// conversations, tags, notes, custom fields and objects, OAuth, and the signed
// webhooks that every change causes, including changes made through the API.
//
// It is as strict as the vendor's validators are reported to be, and it lies in
// the ways that were reported: 400 instead of 409 for duplicates, 422 with an
// array of messages for properties that an operation does not take, an upsert
// that drops a field without a word, a search index that lags behind writes,
// "succeded", wrapped message answers, 403 for a status update that comes too
// early, 201 with an empty body for type "Custom" without a provider.
//
// Where the vendor says nothing, the world takes the harsher reading: writing
// dndSettings replaces the whole map (Config.MergeDND softens it), one change
// causes a ContactUpdate beside the specific event (Config.SingleEvents ends
// it), custom fields that do not exist are ignored in silence, search rows carry
// "address" where a contact carries "address1", and the cursor of searchAfter
// paging stands in the rows, not beside them.
//
// People work in this world through Go methods (EditContact, AgentText, …), the
// program under test through HTTP.
package ghlworld

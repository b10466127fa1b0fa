// Package verityworld is a Verity that runs on loopback: the endpoints that
// df-middleware calls by itself (send a text, take a forwarded GHL webhook, give
// broadcast analytics), a small REST API behind the gateway with a catalogue in
// both forms that it may have, endpoints that answer slowly, hugely, with
// garbage or not at all, and the sender of broadcast webhooks.
//
// It counts texts by their effect: a text that is sent twice under one
// Idempotency-Key counts once.
package verityworld

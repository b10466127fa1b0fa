// Package payload reads what upstreams send, without expectations. Their real
// payloads differ from their documents in types, nesting and the case of names,
// and a field of the wrong type must not cost us the rest: so a body is one JSON
// object whose values are asked for one by one, and what cannot be read is empty.
//
// The rooms of the upstreams build their own readers on it, since each sender
// lies in its own way.
package payload

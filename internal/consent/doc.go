// Package consent answers one question: may we? Opt-out is a join, not a field:
// once out, out, on every system, until a later explicit opt-in. Every text that
// leaves through us, whoever asks for it, passes the Gate; when consent cannot
// be read, the answer is no.
package consent

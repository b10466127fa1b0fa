// Package explain answers why a person is, or is not, texted, called or put on a
// call list. It decides nothing: consent, lists and the lanes do, and what they go
// by is read here, put to the very code that decides, and laid out as checks, each
// with the rule that decided it and the records that show it.
//
// Gathering reads, judging is pure. No check holds a number or an address, so an
// answer may be logged and given to a language model.
package explain

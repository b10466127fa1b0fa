// Package toolset turns the operations of a catalogue into tools for language
// models, and a model's arguments back into calls.
//
// Each operation has one tool and each tool one operation: a Tool holds its
// operation, and its name is never taken apart again to guess what was meant.
// Names are made in names.go, input schemas in schema.go, descriptions and
// hints in tool.go. Arguments are checked against the schema (check.go) before
// anything is built from them (request.go, style.go, body.go), byte for byte,
// so that large integers stay what they are. What Verity answers is cut to a
// size that a model can hold, with a hint how to get the rest (result.go).
//
// The package knows nothing of the Model Context Protocol; the server in the
// folder above and the chat speak through it.
package toolset

// Package mcp lets language models call Verity through the Model Context
// Protocol: the same server speaks on standard input and output and over HTTP.
//
// What the tools are and how arguments become calls is the toolset package's.
// Here is what surrounds a call (call.go): who asks and what he may see
// (caller.go), the check of the arguments, the question to a person before
// anything is deleted (confirm.go), progress, and the audit entry. Large
// catalogues are searched instead of listed (search.go); records of our own can
// be read (records.go, resources.go).
//
// The door for HTTP (http.go) serves every revision of the protocol: requests
// of 2026-07-28 and later without sessions, older ones with. It judges Host and
// Origin for every method, before it looks at the bearer token.
//
// Verity is always called with the middleware's own token. A client's token
// proves to us who asks and goes no further.
package mcp

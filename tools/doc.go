// Package tools holds the rules of the project's design as tests: which room
// may import which, who may open an outgoing connection, how long a file or a
// function may grow, and which words may not stay in production code.
//
// The rules read the source files themselves, so they also see files behind a
// build tag, which a linter that loads packages passes over. Each rule has a
// test that plants a violation and expects it to be found.
package tools

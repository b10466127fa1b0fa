//go:build !race

package mcp

// raceFactor is how much slower the race detector may make things.
const raceFactor = 1

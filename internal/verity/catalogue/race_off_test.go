//go:build !race

package catalogue

// raceFactor is how much slower the race detector makes us.
const raceFactor = 1

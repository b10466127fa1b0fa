// Package load sends a bounded HTTP load to a server on this machine and
// measures how long the answers take.
//
// Two shapes of load exist. In a closed loop each connection sends its next
// request when the last one was answered, which finds the highest throughput.
// In an open loop requests are due at a fixed rate whether or not the server
// keeps up, and a latency counts from the moment the request was due, so that a
// server that stalls cannot hide the requests that it kept waiting.
//
// The generator shares the machine's cores with what it measures, so it is
// frugal: requests are written as ready bytes, and of an answer only the status
// and the length are read.
package load

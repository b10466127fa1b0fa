// Package cli is the command line: one file for each command of dfm, which reads
// its flags, calls the program, and prints. Exit codes: 0 ok, 1 failed, 2 bad
// usage or settings.
package cli

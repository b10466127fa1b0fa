// Package contest measures dfm beside other servers that do the same work, on
// one machine in one session, and judges the ratios against the project's
// targets. Absolute numbers move with the machine; ratios of one run do not.
//
// A contest runs its contestants in turn, several rounds over, each time with a
// fresh server and a fresh database, and compares medians. The CPU time that
// processes outside the contest used during a run is recorded; runs in which it
// was too much are measured again, and the table says so when that did not help.
package contest

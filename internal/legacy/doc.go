// Package legacy takes over what the original TypeScript middleware left in its
// PostgreSQL tables. What is wrong with its rows is dealt with here, table by
// table; docs/upgrading.md says what becomes of each.
//
// # Opt-outs
//
// Nothing is ever loosened. Who is out at the original is out here, from the
// original's own time; who is in there is not thereby in here. The original kept
// texts that it never read, so all of them are read by consent.Classify, whatever
// their status, and a STOP counts from its receipt. It also took the letters
// "end" within "weekend" for a STOP: such an opt-out stands, and a person is asked
// to look at it.
//
// # How it runs
//
// A batch is one transaction: its rows and what follows from them. A row has the
// same id, or the same key of evidence, each time it is read, so a run that broke
// off is repeated from the beginning and adds only what is missing. A dry run does
// all of it and takes each transaction back, so that it cannot count differently.
// Beside a running program nothing is lost: what is there already is newer than
// what the original knows, and stays.
package legacy

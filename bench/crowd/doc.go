// Package crowd fills a migrated, empty database with what a busy account has
// kept after three months: people, the events about them with bodies of the
// vendors' shape and size, and every ledger that grew beside them, in the
// proportions in which they grow. What it makes depends on the size and the time
// alone, so two runs measure the same. All of it is invented.
//
// It knows the tables from outside, by their names: a column that is renamed
// fails the test that fills a small database with it.
package crowd

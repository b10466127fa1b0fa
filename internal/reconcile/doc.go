// Package reconcile sweeps: it finds what no webhook announced, and says how far
// the systems are apart.
//
// A sweep looks at three things. GHL lists its contacts by their last change, so
// a walk (Walk) reads from the newest back to where the last walk began, with an
// overlap, since the search index lags. Aloware lists nobody, so the people are
// walked in slices, and each is looked at on both sides; this is also how a
// deletion is noticed that nobody announced, for absence from a list proves
// nothing. And GHL's export shows the texts and calls, of which those that we
// never heard of are put among the events, where an opt-out takes effect as if its
// webhook had come.
//
// Looking and mending are apart. What differs is kept in the table drift, by
// person and field, with the time since when; Classify derives it from
// converge.Plan, so that spellings which were agreed on are no drift. Mending is
// only a nudge of the person's lane: converge reads, decides and writes, and
// forgets the drift. So a sweep never writes to an upstream, and a second one
// finds nothing.
//
// A change that a sweep found is not yet a webhook that was missed, since senders
// may be late. It waits for a while (Judge) and counts as missed only if nothing
// told of it.
//
// Every walk keeps its place after each page, holds one page in memory, and is
// paced, so that live traffic has the larger part of each account's budget.
package reconcile

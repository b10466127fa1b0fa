// Package broadcasts keeps how Verity's broadcasts went, and shows it in GHL: one
// record of a custom object for each broadcast.
//
// Everything that is announced about one broadcast is worked in its own lane:
// what waits there together costs one look at the figures and one write. The
// figures are those of the newest announcement that carries any, else Verity is
// asked. What they mean is written down in docs/broadcasts.md; record.go is that,
// as code.
package broadcasts

// Package catalogue knows which operations Verity offers. It reads the native
// catalogue of the external contract or an OpenAPI 3.0/3.1 description, as JSON
// or YAML, from a file or a URL, and keeps the last good one when a later
// reading fails.
//
// A document is read operation by operation. What is wrong with one is reported
// as a Problem that names the operation and the place, and the others stay.
// Schemas are kept as the raw bytes of the document and references in them are
// left alone, because inlining makes large descriptions many times larger;
// Catalogue.Schema makes one schema self-contained when somebody needs it.
//
// Match finds the operation of a concrete path. A literal segment beats a
// parameter, as in OpenAPI.
package catalogue

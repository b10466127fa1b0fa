// Package migrations holds the schema's history as twin files: NNNN_name, for
// each engine, up and down. A released file never changes. Each step must let
// the release before it go on working, so that instances can be replaced one
// at a time.
package migrations

import "embed"

// Files holds all migration files.
//
//go:embed *.sql
var Files embed.FS

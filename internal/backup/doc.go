// Package backup copies a SQLite database while it is written to, checks copies,
// and puts one back.
//
// A backup is one file that needs nothing else: no write-ahead log, no manifest.
// All of it is of one moment. Before it gets its name it was read back whole: its
// pages and references, every link of the evidence about opt-outs, and the rows
// of each table against what the database held at that very moment. So a file
// that has the name is a backup, and one that could not be finished has none.
//
// PostgreSQL has its own tools for all of this.
package backup

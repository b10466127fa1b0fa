// Package store is the seam to the database. Every query of the program is
// written here, once, in the dialect that SQLite and PostgreSQL share; the
// packages sqlite and postgres below it adapt the two engines, and storetest
// proves that both give the same answers.
//
// A Store is made of an Engine. Reads go straight to it; everything that writes
// more than one row, and every RETURNING, happens inside InTx. Jobs are inserted
// through the same transaction as the rows they are about, so a job exists if
// and only if its rows do.
//
// The common dialect: numbered parameters ($1, rewritten for SQLite), ON CONFLICT,
// RETURNING, multi-row VALUES, partial indexes, ->>. Not used: FOR UPDATE, arrays,
// writing CTEs, now(). Times are UTC with microseconds; the zero time is NULL.
package store

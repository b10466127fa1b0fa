// Package legacy reads the PostgreSQL tables of the original TypeScript
// middleware. It never writes: all of it is one read-only transaction, which
// sees the tables as they were when it began, while the original may go on.
//
// Databases of the original differ: no migration of it makes ghl_oauth_tokens,
// and broadcast_webhook_events came by hand. A table that is not there has no
// rows, a column that is not there is empty, and Missing says which. Rows come
// in batches from one streaming statement per table, so that the size of the
// table does not matter, and as they are: judging them is the work of the room
// that imports them.
package legacy

// Package e2e proves the promises of df-middleware from outside: it builds the
// real binary, starts it as processes of their own against the sandbox, and
// looks only at what an operator and the upstreams can see: HTTP, tables, log.
//
// What is proven here, each on SQLite and, with TEST_DATABASE_URL, on PostgreSQL:
//
//   - what was answered survives kill -9 at any moment, and is there once;
//   - two worker processes never work on one contact at once, in order, and one
//     takes over what the other held when it dies;
//   - the web app keeps its contract: webhooks, admin, jobs, keys, OAuth;
//   - settings, migrations, doctor and outages say clearly what is wrong;
//   - SIGTERM finishes or hands back, and instances that are replaced one by one
//     under load lose nothing and refuse nobody;
//   - a disk that takes no more, and a PostgreSQL that is stopped under load, lose
//     nothing that was answered;
//   - a backup of a running server restores to what it held;
//   - no log of any of these runs holds a secret, a phone number or an e-mail
//     address (TestMain reads all of them at the end).
package e2e

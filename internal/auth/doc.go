// Package auth answers "who asks?" in both directions: who is calling us, and
// what we show when we call Verity ourselves.
//
// Callers prove themselves in one of three ways. A Guard asks for one of the
// operator's own secrets (admin, jobs). Keys knows the named API keys of other
// services: hashed, scoped, expiring, revocable, each with its own rate. A
// Verifier checks Clerk's tokens without asking Clerk: the public keys come
// from a JWKS, which keeps them fresh in the background, or from a PEM text,
// which needs no network at all.
//
// A TokenKeeper holds the token that the middleware itself shows to Verity. It
// reads the lifetime from the token that came back, renews it ahead of time,
// and shares it between instances, sealed by a Vault.
//
// Everything that the rest of the program has to lend is a small interface or
// a function of this package: KeyStore, RateStore and SharedState are written
// in the store, Doer is an HTTP client, and the hooks feed alerts and metrics.
// Errors that an outsider may read are, or wrap, a *df.Error, so df.AsError
// turns whatever this package returns into the answer of the external contract.
//
// No secret and no token is ever logged, nor is part of one: tokens are named
// by their jti, sid and exp, keys by their id.
package auth

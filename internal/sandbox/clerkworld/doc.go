// Package clerkworld is a Clerk instance that runs on loopback: its key set, the
// Backend API's session and machine tokens with Clerk's error shapes, and a mint
// that signs any claims under any header, so that a verifier can be attacked.
//
// Its RSA keys come from the operating system, not from the seed: Go does not
// make RSA keys repeatable. Everything else is repeatable.
package clerkworld

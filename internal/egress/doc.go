// Package egress is the only way out: every call to an upstream passes a Client
// and comes back as an Answer or as a *df.CallError that says what to do next.
//
// In order, a call meets
//
//   - the Breaker of its upstream, which answers at once while the upstream is down;
//   - the Budget of its account, decided by the pure function Next and shared by
//     all instances through the store; what the upstream's headers say (429,
//     Retry-After, exhausted rate headers) holds the whole account;
//   - a time limit, a size limit, and a transport (NewTransport, or
//     GuardedTransport for URLs that users or payloads supply);
//   - the judgement of what happened: whether it was sent at all, and whether it
//     may be sent again.
//
// A Redactor takes secrets, phone numbers and e-mail addresses out of errors, and
// RedactHandler out of logs.
package egress

// Package carrier is the other end of the texting line: it posts inbound texts
// and delivery reports as Twilio, Telnyx, a Standard Webhooks sender and Verity
// itself ("df-hmac") do, each with its own body, identifiers and signature.
package carrier

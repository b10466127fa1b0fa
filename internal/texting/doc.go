// Package texting is the room of the texting providers: whoever carries our
// texts tells us here what came in and what became of what went out. It has two
// parts:
//
//   - Adapters, one per sender (DF, Twilio, Telnyx, Standard, and Broadcast for
//     Verity's broadcasts). Each proves on the raw bytes who sent a delivery, by
//     the sender's own published algorithm, and says what it is about as a
//     df.Notice.
//   - Decoder.DecodeMessage, which reads the kept bytes of a delivery into one
//     normal form, Message, whoever sent it.
//
// Nothing is sent from here: texts go out through Verity (verity.Client.SendText).
//
// What to know about the senders before changing anything here:
//
//   - Twilio signs the public URL that it called and the form's parameters, with
//     no time in it. Behind a proxy that URL is BASE_URL plus path and query, not
//     what the Host header says, and Twilio is not consistent about the port.
//     What keeps a replay out is that MessageSid and status are one delivery.
//   - Telnyx signs time and body with Ed25519, wants its answer within 2 seconds,
//     promises no order and repeats itself.
//   - Standard Webhooks signs id, time and body; Svix is the same under other
//     header names. The id stands in a header only and is the same over retries,
//     hence decoding needs the headers too.
//   - Verity's own form (df-hmac) signs nothing but the body, and in practice
//     sends the shared secret itself. Ids come as text or as numbers, a message
//     at the root or nested, and the direction is sometimes missing. What a
//     missing direction means is inferred from the event and from our own
//     numbers, or the delivery is skipped: the original took every such message
//     for an outgoing one and filed it under the company's own number.
//   - Delivery states come late and out of order. Later is their order.
//   - A provider that refuses a text because the person said stop knows something
//     that we must know too: RefusalMeansOptOut.
//
// The package does no I/O.
package texting

// Package sandbox is the world outside df-middleware, in one process and on
// loopback: GoHighLevel, Aloware, Verity, Clerk and a texting carrier that
// behave, and misbehave, like the real ones. Tests, `dfm demo` and `dfm sandbox`
// run against it.
//
//	world, err := sandbox.New(sandbox.Config{Rand: rand.NewPCG(1, 2)})
//	err = world.Start(ctx)              // each upstream on a port of its own
//	world.Connect("http://127.0.0.1:3002")  // webhooks go there
//	env := world.Env()                  // the settings that point df-middleware here
//	world.GHL.EditContact(id, map[string]string{"city": "Paris"}) // a person at work
//	world.GHL.Next("update contact", stage.LoseAnswer)            // a scripted accident
//	world.SetMischief(stage.Mischief{DropWebhooks: 0.1})          // general weather
//	err = world.Settle(ctx)             // every webhook delivered or given up
//
// # Control endpoints
//
// Every upstream answers under /_sandbox/ on its own port, in JSON. These
// requests are not counted and meet no mischief.
//
//	GET  /_sandbox/state        name, URL, calls per operation, webhooks, mischief
//	GET  /_sandbox/requests     the newest requests, without credentials and bodies
//	GET  /_sandbox/deliveries   the newest webhooks and what became of them
//	GET  /_sandbox/mischief
//	POST /_sandbox/mischief     {"dropWebhooks":0.1,"serverError":0.05,"slowBy":"2s",…}; {} ends it
//	POST /_sandbox/next         {"operation":"update contact","pranks":["loseAnswer"]}
//	POST /_sandbox/settle       waits until all webhooks are delivered or given up
//	POST /_sandbox/pause        and resume, drop: webhooks pile up, go on, are thrown away
//
// On every port, for all upstreams together:
//
//	GET  /_sandbox/world/state · POST /_sandbox/world/settle
//	POST /_sandbox/world/mischief {"dropWebhooks":0.1} · POST /_sandbox/world/connect {"url":"http://127.0.0.1:3002"}
//
// GHL:
//
//	GET|POST /_sandbox/contacts            {"fields":{"firstName":"Ada","phone":"+15005550111"},"tags":[]}
//	GET|POST|DELETE /_sandbox/contacts/{id} {"fields":{},"addTags":[],"removeTags":[],"dnd":{"SMS":"active"}}
//	POST /_sandbox/contacts/{id}/text      {"text":"hi","direction":"outbound|inbound"}
//	POST /_sandbox/emit                    {"type":"OpportunityCreate","fields":{…}}
//	POST /_sandbox/listeners               {"events":"http://…","delivery":"…","workflow":"…","workflowSecret":"…"}
//	GET  /_sandbox/key                     the PEM key that verifies X-GHL-Signature
//
// Aloware:
//
//	GET|POST /_sandbox/contacts            {"phone":"+15005550111","fields":{"first_name":"Ada"},"tags":[]}
//	POST /_sandbox/contacts/{phone}        {"fields":{},"tags":[],"dnc":true,"text":"STOP"}
//	POST /_sandbox/contacts/{phone}/call   {"direction":2,"disposition":"completed","talkTime":63,"recording":true}
//	GET  /_sandbox/texts · POST /_sandbox/ping · POST /_sandbox/listener {"url":"http://…"}
//
// Verity:
//
//	GET  /_sandbox/texts · GET /_sandbox/forwards
//	POST /_sandbox/analytics/{id}          the numbers of a broadcast
//	POST /_sandbox/broadcast               {"type":"broadcast_completed","broadcastId":"b1","analytics":{}}
//	GET  /catalog.json · GET /openapi.json (no control endpoints, but useful)
//
// Clerk:
//
//	POST /_sandbox/sessions {"userId":"user_x"} · DELETE /_sandbox/sessions/{id}
//	POST /_sandbox/rotate   {"keep":true} · POST /_sandbox/mint {"header":{},"claims":{}}
//
// Carrier ({provider} is twilio, telnyx, standard or df-hmac):
//
//	POST /_sandbox/receive/{provider}      {"from":"+1…","to":"+1…","body":"STOP"}
//	POST /_sandbox/report/{provider}       {"text":{"id":"SM…"},"status":"delivered"}
//
// # What is repeatable
//
// Ids, the Ed25519 keys and all mischief follow from the seed. What depends on
// the order in which concurrent requests arrive (ids among them) is as
// repeatable as that order. Clerk's RSA keys are new in every run.
//
// A lost answer ends the connection. Go's HTTP client repeats GET requests by
// itself when a kept-alive connection ends before the answer; a test that counts
// such calls should close idle connections or expect one more.
package sandbox

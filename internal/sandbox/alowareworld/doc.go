// Package alowareworld is an Aloware account that runs on loopback: the "Lead
// API" under /api/v1/webhook, which despite its name is an outbound API, and
// the webhooks that the account posts.
//
// It has the habits that were measured: a path that it does not know is
// answered with 200 and a web page; writing a contact answers a message and no
// id; contacts are found by phone only, and what a look-up shows lacks the
// address, postal code and website that can be written; there is one way off
// the lists, which is off all of them; errors come in four shapes, and no
// answer carries rate headers. Webhooks are posted once, whatever the answer,
// unsigned, with times that have no zone and are UTC. A completed call is told
// in six webhooks, one of which only repeats another.
//
// What is not known of the real one is a switch in Config.
package alowareworld

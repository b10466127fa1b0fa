// Package story plays what df-middleware is for, step by step, on a sandbox
// world and a real server process: people edit contacts on both sides, webhooks
// get doubled and lost, the server is killed in the middle. Each step looks for
// itself whether it held; nothing is narrated that was not seen.
package story

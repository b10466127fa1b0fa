// Package chat lets people put work to a language model that uses the tools of
// the mcp package.
//
// A turn (turn.go) is what follows a person's message: the model replies, its
// calls are checked and run, several at once (calls.go), and their results go
// back to it until it has nothing more to call or a limit is reached. Whatever
// is said is kept in the database as it happens (history.go), so a turn that is
// cut off leaves what was said so far, and the next one can go on from it.
//
// What deletes, cannot be undone or reaches people outside is not run before a
// person agreed (approve.go). The turn ends with the question, and another
// request brings the answer. What tools return is data to the model, marked as
// such and bounded.
//
// The door is POST /api/mcp/chat (http.go, decode.go), which streams (stream.go)
// events of our own or those of the Vercel AI SDK, and also runs single tools
// (direct.go).
package chat

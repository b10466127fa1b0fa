// Package llmworld plays the vendors of language models: Anthropic's Messages
// and OpenAI's Chat Completions, streamed as they stream.
//
// It is as strict as they are: keys, versions, roles, tool names, a result for
// every call and no other. It cuts words and JSON wherever it likes, sends pings
// and empty chunks between, and hangs up when it is told to.
//
// What the model says comes from a script (Script), from a function (Think), or,
// without either, from a simple mind: a line "call NAME JSON" in the last message
// makes it call that tool, and results make it say what came back.
package llmworld

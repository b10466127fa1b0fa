// Package llm talks to language models: one vocabulary for what is said, and an
// adapter for each wire format, Anthropic's Messages and OpenAI's Chat
// Completions, which many other servers speak too.
//
// A Model answers one prompt with one Turn, streamed as it comes. It decides
// nothing: which tools there are, what they may do and how long a conversation
// may last is the chat package's. The adapters stand on the vendors' own Go
// libraries, are handed their HTTP client, and read no environment.
package llm

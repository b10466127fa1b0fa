package chat

import (
	"encoding/json"
	"slices"

	"github.com/df-middleware/dfm/internal/verity/chat/llm"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// toolOptions is the chat's own tool: it shows the person buttons to answer
// with. The original had the model write them as JSON into its text.
const toolOptions = "offer_options"

// Option is one button: what it says, and what is said when it is pressed.
type Option struct {
	Label  string `json:"label"`
	Intent string `json:"intent"`
}

const maxOptions = 6

var optionsDefinition = llm.Definition{
	Name: toolOptions,
	Description: "Shows the operator 2 to 6 buttons to choose from, when a question has few possible answers. " +
		"Ask the question in your text, call this last, and say nothing after it.",
	Schema: json.RawMessage(`{"type":"object","properties":{"options":{"type":"array","minItems":2,"maxItems":6,"items":{"type":"object","properties":{` +
		`"label":{"type":"string","minLength":1,"maxLength":80},"intent":{"type":"string","minLength":1,"maxLength":500,"description":"What the operator says by choosing it"}},` +
		`"required":["label","intent"],"additionalProperties":false}}},"required":["options"],"additionalProperties":false}`),
}

var optionsCheck = func() toolset.Checker {
	check, err := toolset.NewChecker(optionsDefinition.Schema)
	if err != nil {
		panic("chat: the schema of " + toolOptions + ": " + err.Error()) // it is part of the program
	}
	return check
}()

// offer settles the calls that show buttons, and reports whether there were any:
// then it is the person's turn.
func (t *turn) offer(list []*pending) bool {
	offered := false
	for _, p := range list {
		if p.call.Name != toolOptions || p.result != nil {
			continue
		}
		var in struct{ Options []Option }
		if optionsCheck.Check(p.call.Arguments) != nil || json.Unmarshal(p.call.Arguments, &in) != nil {
			p.settle(toolset.Failure("INVALID_ARGUMENTS", "Nothing is shown: options must be 2 to %d objects with label and intent.", maxOptions), t.chat.Limits.Result)
			continue
		}
		p.settle(toolset.Result{Texts: []string{"The buttons are shown."}}, t.chat.Limits.Result)
		t.out.send(event{Type: "options", Options: slices.Clip(in.Options)})
		offered = true
	}
	return offered
}

package llmworld

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
)

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// maxTools is how many functions OpenAI takes.
const maxTools = 128

// checkTool holds a tool to what both vendors ask of one.
func checkTool(name, description string, schema json.RawMessage) error {
	var root map[string]json.RawMessage
	switch {
	case !toolName.MatchString(name):
		return fmt.Errorf("tools: name %q does not match %s", name, toolName)
	case description == "":
		return fmt.Errorf("tools: %s has no description", name)
	case json.Unmarshal(schema, &root) != nil || string(root["type"]) != `"object"`:
		return fmt.Errorf("tools: the schema of %s must be an object with type object", name)
	}
	for _, word := range []string{"oneOf", "anyOf", "allOf"} {
		if root[word] != nil {
			return fmt.Errorf("tools: the schema of %s has %s at its root", name, word)
		}
	}
	return nil
}

// checkTools holds the list of tools to what both vendors ask.
func checkTools(names []string) error {
	if len(names) > maxTools {
		return fmt.Errorf("tools: %d are more than %d", len(names), maxTools)
	}
	sorted := slices.Sorted(slices.Values(names))
	if len(slices.Compact(sorted)) < len(names) {
		return errors.New("tools: names must be unique")
	}
	return nil
}

// checkOrder holds a conversation to what both vendors ask: it begins with the
// user, and every call has its result right after it, and no other has one.
func checkOrder(messages []Said) error {
	if len(messages) == 0 || messages[0].Role != "user" || len(messages[0].Results) > 0 {
		return errors.New("messages: the first one must be the user's")
	}
	var open []string
	for i, m := range messages {
		for _, r := range m.Results {
			at := slices.Index(open, r.CallID)
			if at < 0 {
				return fmt.Errorf("messages.%d: the result of %q has no call before it", i, r.CallID)
			}
			open = slices.Delete(open, at, at+1)
		}
		if len(open) > 0 {
			return fmt.Errorf("messages.%d: calls without results right after them: %v", i, open)
		}
		if m.Text == "" && len(m.Calls) == 0 && len(m.Results) == 0 {
			return fmt.Errorf("messages.%d: there is nothing in it", i)
		}
		for _, c := range m.Calls {
			var object map[string]json.RawMessage
			if json.Unmarshal([]byte(c.Arguments), &object) != nil || object == nil {
				return fmt.Errorf("messages.%d: the arguments of %s are no object", i, c.Name)
			}
			open = append(open, c.ID)
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("messages: calls without results: %v", open)
	}
	return nil
}

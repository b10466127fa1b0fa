package lists

import (
	"fmt"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// Agent is one entry of the agent directory.
type Agent struct {
	Key           string
	Name          string
	GHLUserID     string
	GHLEmail      string
	FieldValue    string // what the custom field for the assigned agent holds
	RequiredTag   string // e.g. "Owner: Dana"
	AlowareUserID string
	Active        bool
}

// Owner is what a GHL contact says about whose it is.
type Owner struct {
	Assigned string   `json:"assigned,omitempty"` // the agent key of assignedTo
	Unknown  bool     `json:"unknown,omitempty"`  // assignedTo names a user that no active agent stands for
	Field    string   `json:"field,omitempty"`    // the value of the custom field for the agent
	Tags     []string `json:"-"`
}

// Resolution says whose person it is and how that was found.
type Resolution struct {
	Key string `json:"key,omitempty"` // empty when nobody can say
	By  string `json:"by,omitempty"`  // assignedTo, field, tag, default
	// Problem says why nobody can say. Then nobody's lists are touched: an
	// agent that we do not know is not the default agent.
	Problem string `json:"problem,omitempty"`
	Kind    string `json:"kind,omitempty"` // of the problem: unknown_agent, ambiguous_agent
}

// The kinds of problems with agents.
const (
	UnknownAgent   = "unknown_agent"
	AmbiguousAgent = "ambiguous_agent"
)

// Resolve finds the agent of a contact. The first that says something decides:
// assignedTo, then the custom field, then a tag; who is assigned to nobody in any
// of these ways is the default agent's.
//
// A directory that cannot be read is an error of the caller's and never comes
// here: the original took it for "unassigned" and moved people away from their
// agents.
func Resolve(o Owner, directory []Agent, mode TagMode, defaultKey string) Resolution {
	active := slices.DeleteFunc(slices.Clone(directory), func(a Agent) bool { return !a.Active })
	if o.Assigned != "" {
		if slices.ContainsFunc(active, func(a Agent) bool { return a.Key == o.Assigned }) {
			return Resolution{Key: o.Assigned, By: "assignedTo"}
		}
		o.Unknown = true
	}
	byField := keysOf(active, func(a Agent) bool {
		return a.FieldValue != "" && strings.EqualFold(strings.TrimSpace(a.FieldValue), strings.TrimSpace(o.Field))
	})
	byTag := keysOf(active, func(a Agent) bool {
		return a.RequiredTag != "" && slices.ContainsFunc(o.Tags, func(tag string) bool { return ownerTag(mode, a.RequiredTag, tag) })
	})
	switch {
	case len(byField) == 1:
		return Resolution{Key: byField[0], By: "field"}
	case len(byField) > 1:
		return ambiguous("the custom field", byField)
	case len(byTag) == 1:
		return Resolution{Key: byTag[0], By: "tag"}
	case len(byTag) > 1:
		return ambiguous("the contact's tags", byTag)
	case o.Unknown:
		return Resolution{Kind: UnknownAgent, Problem: "the contact is assigned to a GoHighLevel user that no active agent stands for; " +
			"add the user to the agents, or assign the contact to somebody else"}
	case strings.TrimSpace(o.Field) != "":
		return Resolution{Kind: UnknownAgent, Problem: "the custom field for the agent names nobody in the directory; " +
			"give an agent this field value, or empty the field"}
	case defaultKey == "":
		return Resolution{Kind: UnknownAgent, Problem: "the contact has no agent and DEFAULT_AGENT_KEY is empty"}
	}
	return Resolution{Key: defaultKey, By: "default"}
}

// ownerTag compares a tag with the one that an agent asks for. Only an exact
// setting asks for the same case: names of people are no patterns.
func ownerTag(mode TagMode, required, tag string) bool {
	if mode == TagsExact {
		return TagsExact.Matches(required, tag)
	}
	return df.TagKey(required) == df.TagKey(tag)
}

func keysOf(agents []Agent, fits func(Agent) bool) []string {
	var keys []string
	for _, a := range agents {
		if fits(a) {
			keys = append(keys, a.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

func ambiguous(by string, keys []string) Resolution {
	return Resolution{Kind: AmbiguousAgent, Problem: fmt.Sprintf("%s names several agents (%s); leave one of them", by, strings.Join(keys, ", "))}
}

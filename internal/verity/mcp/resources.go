package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// The resources that clients can read.
const (
	catalogueURI = "dfm://catalogue"
	timelineURI  = "dfm://people/{personId}/timeline"
)

func (s *Server) addResources() {
	s.sdk.AddResource(&sdk.Resource{
		URI: catalogueURI, Name: "catalogue", Title: "Catalogue", MIMEType: "application/json",
		Description: "The operations that you may call: names, methods, paths and titles.",
	}, s.readCatalogue)
	if s.cfg.Records == nil {
		return
	}
	s.sdk.AddResourceTemplate(&sdk.ResourceTemplate{
		URITemplate: timelineURI, Name: "timeline", Title: "A person's timeline", MIMEType: "application/json",
		Description: "What happened to one person, the newest first.",
	}, s.readTimeline)
}

func (s *Server) readCatalogue(_ context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	caller, known := s.callerOf(req.Extra)
	if !known {
		return nil, sdk.ResourceNotFoundError(req.Params.URI)
	}
	list := []found{}
	for _, t := range s.set.Load().Tools {
		if caller.sees(t) {
			list = append(list, viewTool(t))
		}
	}
	return jsonResource(req.Params.URI, map[string]any{"operations": list})
}

func (s *Server) readTimeline(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	uri := req.Params.URI
	caller, known := s.callerOf(req.Extra)
	rest, isOurs := strings.CutPrefix(uri, "dfm://people/")
	person, isTimeline := strings.CutSuffix(rest, "/timeline")
	id, err := url.PathUnescape(person)
	if !known || !caller.Records || !isOurs || !isTimeline || err != nil || id == "" {
		return nil, sdk.ResourceNotFoundError(uri)
	}
	started := s.cfg.Clock()
	moments, err := s.momentsOf(ctx, id, 50)
	status := "ok"
	if err != nil {
		status = "INTERNAL"
	}
	s.record(ctx, Entry{
		At: started, Caller: caller.ID, Tool: "resource:timeline", Arguments: s.hash([]byte(id)), Status: status,
		Duration: s.cfg.Clock().Sub(started),
	})
	switch {
	case err != nil:
		s.cfg.Log.ErrorContext(ctx, "a timeline cannot be read", "error", err)
		return nil, fmt.Errorf("the timeline cannot be read at the moment")
	case len(moments) == 0:
		return nil, sdk.ResourceNotFoundError(uri)
	}
	return jsonResource(uri, map[string]any{"timeline": moments})
}

func jsonResource(uri string, value any) (*sdk.ReadResourceResult, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: uri, MIMEType: "application/json", Text: string(text)}}}, nil
}

func (s *Server) addPrompts() {
	s.sdk.AddPrompt(&sdk.Prompt{
		Name: "use_verity", Title: "Do something at Verity", Description: "Find the right operation for a task and carry it out with care.",
		Arguments: []*sdk.PromptArgument{{Name: "task", Description: "What is to be done", Required: true}},
	}, prompt("task", `Do this at Verity: %s
Find the operation with search_operations unless you have a tool for it, read its description, and call it.
Read before you change anything. If something would be deleted or sent to people, say what and to whom first.`))
	if s.cfg.Records == nil {
		return
	}
	s.sdk.AddPrompt(&sdk.Prompt{
		Name: "explain_person", Title: "Explain a person's state", Description: "Find out what happened to a contact, and why.",
		Arguments: []*sdk.PromptArgument{{Name: "person", Description: "A phone, an e-mail or a contact id", Required: true}},
	}, prompt("person", `Find out what happened to this contact: %s
Use find_person, then person_timeline and explain_why. Tell in a few sentences what came in, what was written where, what failed and why.
If events failed, list_events with status error shows whether others failed in the same way.`))
	s.sdk.AddPrompt(&sdk.Prompt{
		Name: "morning_review", Title: "What needs attention", Description: "Look through what failed and what differs, and say what to do about it.",
	}, fixedPrompt(`Find out what needs an operator's attention.
Use list_events with status quarantined and with status error; group them by cause. For each cause explain one event with explain_why.
If there is the tool drift_report, name the unexplained differences first. Say for each cause how many events and people it concerns, and what to do.
Change nothing.`))
	s.sdk.AddPrompt(&sdk.Prompt{
		Name: "plan_replay", Title: "Plan a replay", Description: "Find out what a replay of events would touch, before an operator does it.",
		Arguments: []*sdk.PromptArgument{{Name: "which", Description: "Which events, in words", Required: true}},
	}, prompt("which", `Plan a replay of these events: %s
Find them with list_events, count them with replay_dry_run, and explain two or three with explain_why.
Say how many events and people it would touch, whether their cause is gone, and with which filter an operator would replay them.`))
}

// maxPromptArgument bounds what a client may put into a prompt.
const maxPromptArgument = 2000

func prompt(argument, text string) sdk.PromptHandler {
	return func(_ context.Context, req *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
		value := req.Params.Arguments[argument]
		if value == "" || len(value) > maxPromptArgument {
			return nil, invalidParams(fmt.Sprintf("the argument %s must have 1 to %d bytes", argument, maxPromptArgument))
		}
		return &sdk.GetPromptResult{Messages: []*sdk.PromptMessage{
			{Role: "user", Content: &sdk.TextContent{Text: fmt.Sprintf(text, value)}},
		}}, nil
	}
}

func fixedPrompt(text string) sdk.PromptHandler {
	return func(context.Context, *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
		return &sdk.GetPromptResult{Messages: []*sdk.PromptMessage{{Role: "user", Content: &sdk.TextContent{Text: text}}}}, nil
	}
}

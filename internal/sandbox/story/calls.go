package story

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Calls is the story of what happens in the dialer.
func Calls() []Step {
	return []Step{
		{"An agent calls; Aloware tells of it in six webhooks, doubled and out of order", "one call log, one note with recording and summary, the tags on both sides", called},
		{"The customer calls back and nobody answers", "a missed call is in the conversation too", missed},
	}
}

const caller = "+15005550171"

func called(ctx context.Context, s *Stage) (string, error) {
	s.World.SetMischief(stage.Mischief{DoubleWebhooks: 0.5, ReorderWebhooks: 0.5})
	s.World.Aloware.PlayCall(caller, alowareworld.Call{TalkTime: 184, UserID: 9, Agency: "Interested", Recording: true,
		Summary: "They want a visit on Friday."})
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	s.World.SetMischief(stage.Mischief{})
	return s.shown(ctx, 1, "They want a visit on Friday.", "Recording: ", "talked 3 min 4 s")
}

func missed(ctx context.Context, s *Stage) (string, error) {
	s.World.Aloware.PlayCall(caller, alowareworld.Call{Direction: alowareworld.Inbound, Disposition: "missed"})
	if err := s.quiet(ctx); err != nil {
		return "", err
	}
	return s.shown(ctx, 2, "Outcome: Missed", "Inbound call")
}

// shown looks for n calls in the conversation and among the notes, one of which
// says what it should.
func (s *Stage) shown(ctx context.Context, n int, words ...string) (string, error) {
	var seen string
	err := eventually(ctx, func() error {
		contacts := s.World.GHL.ByPhone(caller)
		if len(contacts) != 1 {
			return fmt.Errorf("%d contacts have the number", len(contacts))
		}
		logs, notes := 0, s.World.GHL.Notes(contacts[0].ID)
		for _, m := range s.World.GHL.Messages(contacts[0].ID) {
			if m.Type == "Call" {
				logs++
			}
		}
		readable := false
		for _, note := range notes {
			readable = readable || !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(note.Body, word) })
		}
		if logs != n || len(notes) != n || !readable {
			return fmt.Errorf("%d call logs and %d notes; says all that it should: %v", logs, len(notes), readable)
		}
		seen = fmt.Sprintf("%d call logs, %d notes, tags: %s", logs, len(notes), strings.Join(contacts[0].Tags, ", "))
		return nil
	})
	return seen, err
}

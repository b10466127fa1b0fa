package store_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func conversation(owner, id, turn string) store.Conversation {
	return store.Conversation{Owner: owner, ID: id, Title: "t", Model: "anthropic/m", Turn: turn, TurnUntil: sentAt.Add(time.Minute)}
}

func TestOneAnswerIsWrittenAtATime(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		begin := func(turn string, at time.Time) error {
			return s.BeginTurn(t.Context(), conversation("admin", "c", turn), at)
		}
		if err := begin("one", sentAt); err != nil {
			t.Fatal(err)
		}
		if err := begin("two", sentAt); !errors.Is(err, store.ErrState) {
			t.Errorf("a second answer at the same time: %v", err)
		}
		if err := s.Say(t.Context(), "admin", "c", "one", store.Said{End: true, At: sentAt}); err != nil {
			t.Fatal(err)
		}
		if err := begin("two", sentAt); err != nil {
			t.Errorf("after the end: %v", err)
		}
		// The process that wrote “two” died.
		if err := begin("three", sentAt.Add(2*time.Minute)); err != nil {
			t.Errorf("after the dead one's time: %v", err)
		}
		message := store.ChatMessage{Role: "user", Parts: json.RawMessage(`[]`)}
		err := s.Say(t.Context(), "admin", "c", "two", store.Said{Messages: []store.ChatMessage{message}, At: sentAt})
		if !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("an answer that was given up for dead: %v", err)
		}
		if list, err := s.ChatMessages(t.Context(), "admin", "c"); err != nil || len(list) != 0 {
			t.Errorf("it left %v, %v", list, err)
		}
	})
}

func TestAConversationKeepsWhatIsSaidAndWhatItCost(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		if err := s.BeginTurn(t.Context(), conversation("admin", "c", "x"), sentAt); err != nil {
			t.Fatal(err)
		}
		for i, text := range []string{`[{"text":"one"}]`, `[{"text":"two"}]`} {
			said := store.Said{Messages: []store.ChatMessage{{Role: "user", Parts: json.RawMessage(text), Note: "n"}},
				InputTokens: 10, OutputTokens: 1, CostMicros: 7, At: sentAt.Add(time.Duration(i) * time.Second)}
			if err := s.Say(t.Context(), "admin", "c", "x", said); err != nil {
				t.Fatal(err)
			}
		}
		c, err := s.Conversation(t.Context(), "admin", "c")
		if err != nil || c.InputTokens != 20 || c.OutputTokens != 2 || c.CostMicros != 14 || !c.UpdatedAt.Equal(sentAt.Add(time.Second)) {
			t.Errorf("%+v, %v", c, err)
		}
		list, err := s.ChatMessages(t.Context(), "admin", "c")
		if err != nil || len(list) != 2 || list[1].Seq != 2 || string(list[1].Parts) != `[{"text":"two"}]` || list[1].Note != "n" {
			t.Errorf("%+v, %v", list, err)
		}
		if _, err := s.Conversation(t.Context(), "key:other", "c"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another owner: %v", err)
		}
	})
}

func TestAnApprovalIsSettledOnceAndInTime(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for _, id := range []string{"a", "b"} {
			err := s.AddApproval(t.Context(), store.ChatApproval{ID: id, Owner: "admin", ConversationID: "c", CallID: "call", Tool: "t",
				State: "waiting", CreatedAt: sentAt, ExpiresAt: sentAt.Add(time.Minute)})
			if err != nil {
				t.Fatal(err)
			}
		}
		decide := func(owner, id string, at time.Time) error {
			return s.DecideApproval(t.Context(), owner, id, "approved", at)
		}
		if err := decide("key:other", "a", sentAt); !errors.Is(err, store.ErrState) {
			t.Errorf("somebody else's yes: %v", err)
		}
		if err := decide("admin", "a", sentAt); err != nil {
			t.Errorf("a yes: %v", err)
		}
		if err := decide("admin", "a", sentAt); !errors.Is(err, store.ErrState) {
			t.Errorf("the same yes again: %v", err)
		}
		if err := decide("admin", "b", sentAt.Add(time.Minute)); !errors.Is(err, store.ErrState) {
			t.Errorf("a late yes: %v", err)
		}
		list, err := s.Approvals(t.Context(), "admin", "c")
		if err != nil || len(list) != 2 || list[0].State != "approved" || list[1].State != "waiting" {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestConversationsAreListedAndForgotten(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for i, id := range []string{"old", "new", "newest"} {
			at := sentAt.Add(time.Duration(i) * time.Hour)
			if err := s.BeginTurn(t.Context(), conversation("admin", id, "x"), at); err != nil {
				t.Fatal(err)
			}
			err := s.Say(t.Context(), "admin", id, "x", store.Said{End: true, At: at,
				Messages: []store.ChatMessage{{Role: "user", Parts: json.RawMessage(`[]`)}}})
			if err != nil {
				t.Fatal(err)
			}
		}
		names := func(before time.Time) (out []string) {
			list, err := s.Conversations(t.Context(), "admin", before, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range list {
				out = append(out, c.ID)
			}
			return out
		}
		if got := names(time.Time{}); len(got) != 2 || got[0] != "newest" || got[1] != "new" {
			t.Errorf("first page %v", got)
		}
		if got := names(sentAt.Add(time.Hour)); len(got) != 1 || got[0] != "old" {
			t.Errorf("second page %v", got)
		}
		if err := s.PruneChats(t.Context(), sentAt.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if list, err := s.ChatMessages(t.Context(), "admin", "old"); err != nil || len(list) != 0 {
			t.Errorf("the old one's messages: %v, %v", list, err)
		}
		if err := s.DeleteConversation(t.Context(), "key:other", "new"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("somebody else deletes: %v", err)
		}
		if err := s.DeleteConversation(t.Context(), "admin", "new"); err != nil {
			t.Fatal(err)
		}
		if got := names(time.Time{}); len(got) != 1 || got[0] != "newest" {
			t.Errorf("left are %v", got)
		}
	})
}

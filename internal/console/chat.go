package console

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Chat is the conversation with a language model, as the console shows it.
type Chat interface {
	// Serve answers one message, or the answers to questions, in a stream.
	Serve(w http.ResponseWriter, r *http.Request, owner string)
	// Read returns one conversation, or store.ErrNotFound.
	Read(ctx context.Context, owner, id string) (Spoken, error)
	// Forget deletes one conversation.
	Forget(ctx context.Context, owner, id string) error
	// Model names the model, and is "" when none is configured.
	Model() string
}

// Spoken is a conversation as a page shows it.
type Spoken struct {
	ID           string
	Title        string
	Busy         bool // an answer is being written
	InputTokens  int64
	OutputTokens int64
	CostMicros   int64
	Lines        []SpokenLine
}

// SpokenLine is what one side said, and the tools it called.
type SpokenLine struct {
	Mine  bool // the operator's
	Text  string
	Note  string // why it ends early
	Calls []SpokenCall
}

// SpokenCall is a tool that the model called.
type SpokenCall struct {
	ID, Tool  string
	Arguments json.RawMessage
	Result    string
	State     string // done, failed, declined, waiting, open
	Approval  string // what a yes is sent with, while it waits
}

type chatView struct {
	Model  string
	List   []store.Conversation
	Spoken *Spoken
	Now    time.Time
}

// talksShown is how many conversations the list holds.
const talksShown = 100

func (s *Server) chatPage(r *http.Request) (view, error) {
	owner := auth.Actor(r.Context())
	data := chatView{Now: s.Clock()}
	if s.Chat != nil {
		data.Model = s.Chat.Model()
	}
	var err error
	if data.List, err = s.Store.Conversations(r.Context(), owner, time.Time{}, talksShown); err != nil {
		return view{}, err
	}
	title := "Chat"
	if id := r.PathValue("id"); id != "" && s.Chat != nil {
		spoken, err := s.Chat.Read(r.Context(), owner, id)
		if err != nil {
			return view{}, err
		}
		data.Spoken = &spoken
		title = spoken.Title
	}
	return view{template: "chat.html", title: title, section: "chat", data: data}, nil
}

func (s *Server) forgetChat(r *http.Request) (view, error) {
	if s.Chat == nil {
		return view{}, store.ErrNotFound
	}
	if err := s.Chat.Forget(r.Context(), auth.Actor(r.Context()), r.PathValue("id")); err != nil {
		return view{}, err
	}
	return view{redirect: "/chat", notice: "The conversation is deleted."}, nil
}

// csrfHeader is where the chat's script shows the session's token.
const csrfHeader = "X-Dfm-Csrf"

// chatTurn passes a message of the page's script on. What a form shows in a
// field, the script shows in a header.
func (s *Server) chatTurn(w http.ResponseWriter, r *http.Request) {
	if s.crossOrigin.Check(r) != nil || !auth.Equal(r.Header.Get(csrfHeader), visitorOf(r).csrf) {
		s.failPage(w, r, &df.Error{Code: "FORBIDDEN", Status: http.StatusForbidden, Message: "this was not sent from a page of yours; reload the page"})
		return
	}
	if s.Chat == nil {
		s.failPage(w, r, store.ErrNotFound)
		return
	}
	s.Chat.Serve(w, r, auth.Actor(r.Context()))
}

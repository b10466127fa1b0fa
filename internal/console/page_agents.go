package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

func (s *Server) agentsPage(r *http.Request) (view, error) {
	agents, err := s.Store.Agents(r.Context())
	return view{template: "agents.html", title: "Agents", section: "agents", data: agents}, err
}

// agent finds one agent of the directory.
func (s *Server) agent(r *http.Request) (store.Agent, error) {
	agents, err := s.Store.Agents(r.Context())
	if err != nil {
		return store.Agent{}, err
	}
	for _, a := range agents {
		if a.Key == r.PathValue("key") {
			return a, nil
		}
	}
	return store.Agent{}, store.ErrNotFound
}

func (s *Server) agentPage(r *http.Request) (view, error) {
	a, err := s.agent(r)
	return view{template: "agent.html", title: a.DisplayName, section: "agents", data: a}, err
}

// agentOf reads the form of an agent.
func agentOf(r *http.Request, key string) (store.Agent, error) {
	value := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	a := store.Agent{
		Key: strings.TrimSpace(key), DisplayName: value("displayName"), GHLOwnerID: value("ghlOwnerId"), GHLOwnerEmail: value("ghlOwnerEmail"),
		GHLFieldValue: value("ghlFieldValue"), RequiredTag: value("requiredTag"), AlowareUserID: value("alowareUserId"),
		Active: value("active") != "",
	}
	if a.Key == "" || len(a.Key) > 64 || strings.ContainsFunc(a.Key, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return a, invalid("the key must be a name of 1 to 64 characters without spaces, such as DANA")
	}
	if a.DisplayName == "" {
		a.DisplayName = a.Key
	}
	for _, text := range []string{a.DisplayName, a.GHLOwnerID, a.GHLOwnerEmail, a.GHLFieldValue, a.RequiredTag, a.AlowareUserID} {
		if len(text) > 200 {
			return a, invalid("every field may have 200 characters at most")
		}
	}
	return a, nil
}

func (s *Server) addAgent(r *http.Request) (view, error) {
	return s.keepAgent(r, r.PostForm.Get("key"), false)
}

func (s *Server) editAgent(r *http.Request) (view, error) {
	return s.keepAgent(r, r.PathValue("key"), true)
}

func (s *Server) keepAgent(r *http.Request, key string, update bool) (view, error) {
	a, err := agentOf(r, key)
	if err != nil {
		return view{}, err
	}
	if err := s.clash(r, a); err != nil {
		return view{}, err
	}
	err = s.Store.SaveAgent(r.Context(), a, update, s.Clock())
	if errors.Is(err, store.ErrState) {
		return view{}, &df.Error{Code: "CONFLICT", Message: "There is an agent with this key already. Edit that one.", Status: http.StatusConflict}
	}
	if err != nil {
		return view{}, err
	}
	if err := s.audit(r, "agent.save", a.Key, nil); err != nil {
		return view{}, err
	}
	return view{redirect: "/agents", notice: "Saved " + a.DisplayName + "."}, nil
}

func (s *Server) confirmDeleteAgent(r *http.Request) (view, error) {
	a, err := s.agent(r)
	if err != nil {
		return view{}, err
	}
	return confirm("agents", confirmation{
		Question: "Delete this agent?", Subject: a.DisplayName + " (" + a.Key + ")", Button: "Delete", Danger: true,
		Says: "Contacts keep their owners on both sides, but owner changes for this agent no longer move between them. To stop that for a while only, edit the agent and take “active” away.",
		Post: "/agents/" + url.PathEscape(a.Key) + "/delete", Back: "/agents/" + url.PathEscape(a.Key),
	}), nil
}

func (s *Server) removeAgent(r *http.Request) (view, error) {
	if _, err := s.deleteAgentByKey(r); err != nil {
		return view{}, err
	}
	return view{redirect: "/agents", notice: "The agent was deleted."}, nil
}

func (s *Server) deleteAgentByKey(r *http.Request) (any, error) {
	r.SetPathValue("agentKey", r.PathValue("key"))
	return s.deleteAgent(r)
}

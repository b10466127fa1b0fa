package console

import (
	"errors"
	"net/http"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/store"
)

// seedView is what seeding did, or would do, and what it leaves to a person.
type seedView struct {
	DryRun    bool          `json:"dryRun"`
	Created   []agentView   `json:"created"`
	Updated   []agentView   `json:"updated"`
	Unchanged []string      `json:"unchanged"`
	Ambiguous []lists.Doubt `json:"ambiguous"`
	Unmatched []lists.Lone  `json:"unmatched"`
}

// seedAgents makes agents of the users that both systems have.
func (s *Server) seedAgents(r *http.Request) (any, error) {
	in := struct {
		DryRun bool `json:"dryRun"`
	}{}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	return s.seed(r, in.DryRun)
}

func (s *Server) seed(r *http.Request, dryRun bool) (seedView, error) {
	answer := seedView{DryRun: dryRun, Created: []agentView{}, Updated: []agentView{}}
	if s.Users == nil {
		return answer, invalid("neither GoHighLevel nor Aloware is configured")
	}
	ghl, aloware, err := s.Users.Users(r.Context())
	if err != nil {
		return answer, upstreamTrouble(err)
	}
	setup, _, err := s.Lists.Setup(r.Context())
	if err != nil {
		return answer, err
	}
	match := lists.Match(setup.Agents, ghl, aloware)
	answer.Unchanged, answer.Ambiguous, answer.Unmatched = match.Same, match.Doubts, match.Alone
	for i, agents := range [][]lists.Agent{match.Create, match.Update} {
		for _, a := range agents {
			row := rowOf(a)
			if !dryRun {
				if err := s.keepSeeded(r, row, i == 1); err != nil {
					return answer, err
				}
			}
			if i == 0 {
				answer.Created = append(answer.Created, viewAgent(row))
			} else {
				answer.Updated = append(answer.Updated, viewAgent(row))
			}
		}
	}
	return answer, nil
}

func (s *Server) keepSeeded(r *http.Request, a store.Agent, update bool) error {
	if err := s.Store.SaveAgent(r.Context(), a, update, s.Clock()); err != nil {
		return err
	}
	return s.audit(r, "agent.seed", a.Key, nil)
}

func rowOf(a lists.Agent) store.Agent {
	return store.Agent{Key: a.Key, DisplayName: a.Name, GHLOwnerID: a.GHLUserID, GHLOwnerEmail: a.GHLEmail, GHLFieldValue: a.FieldValue,
		RequiredTag: a.RequiredTag, AlowareUserID: a.AlowareUserID, Active: a.Active}
}

// upstreamTrouble makes of a failed call what an operator may read.
func upstreamTrouble(err error) error {
	var call *df.CallError
	if !errors.As(err, &call) {
		return err
	}
	return &df.Error{Code: "UPSTREAM_FAILED", Message: call.Error(), Status: http.StatusBadGateway, Err: err}
}

// clash returns an error when another active agent is the same user at GHL or at
// Aloware: then nobody could say whose a contact is.
func (s *Server) clash(r *http.Request, a store.Agent) error {
	if !a.Active {
		return nil
	}
	agents, err := s.Store.Agents(r.Context())
	if err != nil {
		return err
	}
	for _, other := range agents {
		if other.Key == a.Key || !other.Active {
			continue
		}
		if a.GHLOwnerID != "" && a.GHLOwnerID == other.GHLOwnerID || a.AlowareUserID != "" && a.AlowareUserID == other.AlowareUserID {
			return &df.Error{Code: "CONFLICT", Status: http.StatusConflict,
				Message: "the active agent " + other.Key + " is this user already; one user cannot be two agents"}
		}
	}
	return nil
}

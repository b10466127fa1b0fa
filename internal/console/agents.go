package console

import (
	"net/http"
	"strings"

	"github.com/df-middleware/dfm/internal/store"
)

// agentView has the shape that scripts of the original system use.
type agentView struct {
	AgentKey                   string `json:"agentKey"`
	DisplayName                string `json:"displayName"`
	GHLOwnerID                 string `json:"ghlOwnerId"`
	GHLOwnerEmail              string `json:"ghlOwnerEmail"`
	GHLAssignedAgentFieldValue string `json:"ghlAssignedAgentFieldValue"`
	RequiredTag                string `json:"requiredTag"`
	AlowareUserID              string `json:"alowareUserId"`
	IsActive                   *bool  `json:"isActive"`
}

func viewAgent(a store.Agent) agentView {
	return agentView{a.Key, a.DisplayName, a.GHLOwnerID, a.GHLOwnerEmail, a.GHLFieldValue, a.RequiredTag, a.AlowareUserID, &a.Active}
}

func (s *Server) listAgents(r *http.Request) (any, error) {
	agents, err := s.Store.Agents(r.Context())
	if err != nil {
		return nil, err
	}
	views := make([]agentView, len(agents))
	for i, a := range agents {
		views[i] = viewAgent(a)
	}
	return page{Data: views}, nil
}

// saveAgent creates an agent (POST) or replaces one (PUT).
func (s *Server) saveAgent(r *http.Request) (any, error) {
	var in agentView
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	key, update := r.PathValue("agentKey"), r.Method == http.MethodPut
	if update {
		in.AgentKey = key
	}
	if in.AgentKey = strings.TrimSpace(in.AgentKey); in.AgentKey == "" || len(in.AgentKey) > 64 {
		return nil, invalid("agentKey must be a name of 1 to 64 characters")
	}
	agent := store.Agent{
		Key: in.AgentKey, DisplayName: in.DisplayName, GHLOwnerID: in.GHLOwnerID, GHLOwnerEmail: in.GHLOwnerEmail,
		GHLFieldValue: in.GHLAssignedAgentFieldValue, RequiredTag: in.RequiredTag, AlowareUserID: in.AlowareUserID,
		Active: in.IsActive == nil || *in.IsActive,
	}
	if agent.DisplayName == "" {
		agent.DisplayName = agent.Key
	}
	if err := s.clash(r, agent); err != nil {
		return nil, err
	}
	if err := s.Store.SaveAgent(r.Context(), agent, update, s.Clock()); err != nil {
		return nil, err
	}
	return viewAgent(agent), s.audit(r, "agent.save", agent.Key, nil)
}

func (s *Server) deleteAgent(r *http.Request) (any, error) {
	key := r.PathValue("agentKey")
	if err := s.Store.DeleteAgent(r.Context(), key); err != nil {
		return nil, err
	}
	return map[string]string{"agentKey": key}, s.audit(r, "agent.delete", key, nil)
}

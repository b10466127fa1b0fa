package console

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/store"
)

// UserBook tells the users of both systems.
type UserBook interface {
	Users(ctx context.Context) (ghl, aloware []lists.User, err error)
}

// registerLists adds the routes about call lists.
func (s *Server) registerLists(admin, jobs func(pattern string, h handler)) {
	if s.Lists == nil {
		return
	}
	admin("POST /api/admin/agents/seed", s.seedAgents)
	admin("GET /api/admin/lists", s.listLists)
	admin("POST /api/admin/lists", s.saveList)
	admin("DELETE /api/admin/lists/{agentKey}/{listKey}", s.deleteList)
	admin("GET /api/admin/lists/status", s.proveLists)
	admin("GET /api/admin/lists/people/{id}", s.explainLists)
	admin("POST /api/admin/lists/rebuild", s.rebuildLists)
	admin("GET /api/admin/lists/rules", s.getRules)
	admin("PUT /api/admin/lists/rules", s.putRules)
	admin("GET /api/admin/lists/runs", s.listRuns)
	admin("POST /api/admin/lists/runs/{id}/approve", s.approveRun)
	admin("POST /api/admin/lists/runs/{id}/decline", s.declineRun)
	jobs("POST /api/sync/lists", s.syncLists)
}

// listView has the shape that scripts of the original system use.
type listView struct {
	AgentKey        string     `json:"agentKey"`
	ListKey         string     `json:"listKey"`
	AlowareListID   string     `json:"alowareListId"`
	AlowareListName string     `json:"alowareListName"`
	UpdatedAt       *time.Time `json:"updatedAt,omitempty"`
}

func viewList(l store.CallList) listView {
	return listView{l.AgentKey, l.ListKey, l.AlowareID, l.Name, optional(l.UpdatedAt)}
}

func (s *Server) listLists(r *http.Request) (any, error) {
	rows, err := store.CallLists(r.Context(), s.Store)
	if err != nil {
		return nil, err
	}
	views := make([]listView, len(rows))
	for i, l := range rows {
		views[i] = viewList(l)
	}
	return page{Data: views}, nil
}

func (s *Server) saveList(r *http.Request) (any, error) {
	var in listView
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	l, err := s.keepList(r, in)
	return viewList(l), err
}

// keepList checks and saves one list of the registry.
func (s *Server) keepList(r *http.Request, in listView) (store.CallList, error) {
	l := store.CallList{AgentKey: strings.TrimSpace(in.AgentKey), ListKey: strings.TrimSpace(in.ListKey),
		AlowareID: strings.TrimSpace(in.AlowareListID), Name: strings.TrimSpace(in.AlowareListName), UpdatedAt: s.Clock()}
	agents, err := s.Store.Agents(r.Context())
	if err != nil {
		return l, err
	}
	known := l.AgentKey == s.Lists.DefaultAgent && l.AgentKey != "" ||
		slices.ContainsFunc(agents, func(a store.Agent) bool { return a.Key == l.AgentKey })
	keys := s.Lists.Vocabulary.ListKeys
	switch {
	case !known:
		return l, invalid("agentKey must be the key of an agent of the directory, or DEFAULT_AGENT_KEY")
	case !slices.Contains(keys, l.ListKey):
		return l, invalid("listKey must be one of AGENT_LIST_KEYS: " + strings.Join(keys, ", "))
	case strings.Trim(l.AlowareID, "0123456789") != "" || len(l.AlowareID) > 18:
		return l, invalid("alowareListId must be a number: the id that Aloware's classic admin pages show")
	case len(l.Name) > 200:
		return l, invalid("alowareListName may have 200 characters at most")
	}
	if l.Name == "" {
		l.Name = lists.ListName(l.AgentKey, l.ListKey)
	}
	if err := s.Store.SaveCallList(r.Context(), l); err != nil {
		return l, err
	}
	return l, s.audit(r, "list.save", l.AgentKey+"/"+l.ListKey, map[string]any{"alowareListId": l.AlowareID, "alowareListName": l.Name})
}

func (s *Server) deleteList(r *http.Request) (any, error) {
	agent, list := r.PathValue("agentKey"), r.PathValue("listKey")
	if err := s.Store.DeleteCallList(r.Context(), agent, list); err != nil {
		return nil, err
	}
	return map[string]string{"agentKey": agent, "listKey": list}, s.audit(r, "list.delete", agent+"/"+list, nil)
}

func (s *Server) proveLists(r *http.Request) (any, error) { return s.Lists.LatestProof(r.Context()) }

func (s *Server) explainLists(r *http.Request) (any, error) {
	return s.Lists.Explain(r.Context(), r.PathValue("id"))
}

// listsOn refuses what would decide lists while deciding them is turned off.
func (s *Server) listsOn() error {
	if s.ListSync {
		return nil
	}
	return &df.Error{Code: "CONFLICT", Status: http.StatusConflict, Message: "ENABLE_AGENT_LIST_SYNC is off, so lists are not decided"}
}

func (s *Server) rebuildLists(r *http.Request) (any, error) {
	in := struct {
		DryRun   *bool  `json:"dryRun"`
		AgentKey string `json:"agentKey"`
		ListKey  string `json:"listKey"`
		Force    bool   `json:"force"`
	}{}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	return s.rebuild(r, lists.Rebuild{DryRun: in.DryRun == nil || *in.DryRun, AgentKey: in.AgentKey, ListKey: in.ListKey, Force: in.Force})
}

// rebuild runs over everybody and notes who asked for it.
func (s *Server) rebuild(r *http.Request, ask lists.Rebuild) (lists.Report, error) {
	if err := s.listsOn(); err != nil {
		return lists.Report{}, err
	}
	ask.By = auth.Actor(r.Context())
	report, err := s.Lists.Run(r.Context(), ask)
	if err != nil || ask.DryRun {
		return report, err
	}
	return report, s.audit(r, "lists.rebuild", report.RunID, map[string]any{"state": report.State, "added": report.Added,
		"moved": report.Moved, "removed": report.Removed, "force": ask.Force, "agentKey": ask.AgentKey, "listKey": ask.ListKey})
}

// syncLists is what an external cron calls: a rebuild that changes only what
// differs, and waits for approval like any other.
func (s *Server) syncLists(r *http.Request) (any, error) { return s.rebuild(r, lists.Rebuild{}) }

type rulesView struct {
	Version int64           `json:"version"` // 0 are the rules that are built in
	Rules   json.RawMessage `json:"rules"`
	History []ruleVersion   `json:"history"`
}

type ruleVersion struct {
	Version   int64           `json:"version"`
	State     string          `json:"state"`
	Author    string          `json:"author"`
	Note      string          `json:"note"`
	CreatedAt time.Time       `json:"createdAt"`
	DecidedBy string          `json:"decidedBy"`
	DecidedAt *time.Time      `json:"decidedAt"`
	Rules     json.RawMessage `json:"rules"`
}

// rulesShown are how many versions of the rules are shown.
const rulesShown = 20

func (s *Server) getRules(r *http.Request) (any, error) {
	setup, version, err := s.Lists.Setup(r.Context())
	if err != nil {
		return nil, err
	}
	history, err := s.Store.ListRulesHistory(r.Context(), rulesShown)
	if err != nil {
		return nil, err
	}
	answer := rulesView{Version: version, History: []ruleVersion{}}
	if answer.Rules, err = json.Marshal(setup.Rules.Rules); err != nil {
		return nil, err
	}
	for _, h := range history {
		table := struct {
			Rules json.RawMessage `json:"rules"`
		}{}
		if err := json.Unmarshal([]byte(h.Rules), &table); err != nil {
			return nil, err
		}
		answer.History = append(answer.History, ruleVersion{h.Version, h.State, h.Author, h.Note, h.CreatedAt, h.DecidedBy,
			optional(h.DecidedAt), table.Rules})
	}
	return answer, nil
}

func (s *Server) putRules(r *http.Request) (any, error) {
	in := struct {
		Rules   json.RawMessage `json:"rules"`
		Version *int64          `json:"version"` // the one that was seen
		Note    string          `json:"note"`
		DryRun  bool            `json:"dryRun"`
	}{}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if len(in.Rules) == 0 {
		return nil, invalid("rules must be a list of rules")
	}
	put := lists.PutRules{Rules: slices.Concat([]byte(`{"rules":`), in.Rules, []byte("}")), DryRun: in.DryRun, Note: in.Note, Replaces: -1}
	if in.Version != nil {
		put.Replaces = *in.Version
	}
	return s.setRules(r, put)
}

func (s *Server) setRules(r *http.Request, put lists.PutRules) (lists.Report, error) {
	if len(put.Note) > 500 {
		return lists.Report{}, invalid("note may have 500 characters at most")
	}
	if err := s.listsOn(); err != nil && !put.DryRun {
		return lists.Report{}, err
	}
	put.By = auth.Actor(r.Context())
	report, err := s.Lists.SetRules(r.Context(), put)
	if err != nil || put.DryRun {
		return report, err
	}
	return report, s.audit(r, "lists.rules", report.RunID, map[string]any{"version": report.Version, "state": report.State, "note": put.Note,
		"added": report.Added, "moved": report.Moved, "removed": report.Removed})
}

type runView struct {
	ID           string          `json:"id"`
	Kind         string          `json:"kind"`
	State        string          `json:"state"`
	RulesVersion int64           `json:"rulesVersion"`
	Totals       json.RawMessage `json:"totals"`
	CreatedBy    string          `json:"createdBy"`
	CreatedAt    time.Time       `json:"createdAt"`
	DecidedBy    string          `json:"decidedBy"`
	DecidedAt    *time.Time      `json:"decidedAt"`
}

func (s *Server) listRuns(r *http.Request) (any, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.ListRuns(r.Context(), limit)
	if err != nil {
		return nil, err
	}
	views := make([]runView, len(rows))
	for i, row := range rows {
		views[i] = runView{row.ID, row.Kind, row.State, row.RulesVersion, json.RawMessage(row.Totals), row.CreatedBy, row.CreatedAt,
			row.DecidedBy, optional(row.DecidedAt)}
	}
	return page{Data: views}, nil
}

func (s *Server) approveRun(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if err := s.listsOn(); err != nil {
		return nil, err
	}
	report, err := s.Lists.Approve(r.Context(), id, auth.Actor(r.Context()))
	if err != nil {
		return nil, err
	}
	return report, s.audit(r, "lists.approve", id, map[string]any{"moved": report.Moved, "removed": report.Removed})
}

func (s *Server) declineRun(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if err := s.Lists.Decline(r.Context(), id, auth.Actor(r.Context())); err != nil {
		return nil, err
	}
	return map[string]string{"runId": id, "state": lists.RunDeclined}, s.audit(r, "lists.decline", id, nil)
}

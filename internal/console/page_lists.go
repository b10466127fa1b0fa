package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/store"
)

// writeListPages adds the pages about call lists, and the seeding of agents.
func (s *Server) writeListPages(see, change func(pattern string, f show)) {
	if s.Lists == nil {
		return
	}
	see("/agents/seed", s.seedPage)
	change("/agents/seed", s.seedNow)
	see("/lists", s.listsPage)
	change("/lists", s.addList)
	see("/lists/{agent}/{list}", s.listPage)
	see("/lists/{agent}/{list}/delete", s.confirmDeleteList)
	change("/lists/{agent}/{list}/delete", s.removeList)
	see("/lists/rules", s.rulesPage)
	change("/lists/rules", s.changeRules)
	see("/lists/rebuild", s.rebuildPage)
	change("/lists/rebuild", s.rebuildNow)
	see("/lists/runs", s.runsPage)
	see("/lists/runs/{id}", s.runPage)
	change("/lists/runs/{id}", s.decideRun)
	see("/people/{id}/lists", s.personListsPage)
}

// listTabs are the ways to look at lists.
func (s *Server) listTabs(r *http.Request, waiting int) []Tab {
	tabs := []Tab{{Name: "Proof", Link: "/lists"}, {Name: "Rules", Link: "/lists/rules"}, {Name: "Rebuild", Link: "/lists/rebuild"}, {Name: "Runs", Link: "/lists/runs"}}
	for i := range tabs {
		tabs[i].Current = tabs[i].Link == r.URL.Path
	}
	if waiting > 0 {
		tabs[3].Count = number(waiting)
	}
	return tabs
}

// waitingRuns are the runs that wait for a person, among the newest.
func (s *Server) waitingRuns(r *http.Request) ([]store.ListRun, error) {
	runs, err := s.Store.ListRuns(r.Context(), pageRows)
	return slices.DeleteFunc(runs, func(run store.ListRun) bool { return run.State != lists.RunWaiting }), err
}

type listsView struct {
	Tabs     []Tab
	Tiles    []Tile
	Proof    lists.Proof
	Waiting  []store.ListRun
	On       bool
	Agents   []string
	ListKeys []string
	Empty    Empty
}

func (s *Server) listsPage(r *http.Request) (view, error) {
	waiting, err := s.waitingRuns(r)
	if err != nil {
		return view{}, err
	}
	proof, err := s.Lists.LatestProof(r.Context())
	if err != nil {
		return view{}, err
	}
	agents, err := s.agentKeys(r)
	data := listsView{Tabs: s.listTabs(r, len(waiting)), Proof: proof, Waiting: waiting, On: s.ListSync, Agents: agents,
		ListKeys: s.Lists.Vocabulary.ListKeys, Tiles: proofTiles(proof), Empty: Empty{Title: "No list is known yet",
			Text: "Make the lists in Aloware by hand, called DF_<AGENT>_<LIST>, and enter their ids below: Aloware's API neither makes nor shows lists."}}
	return view{template: "lists.html", title: "Lists", section: "lists", data: data}, err
}

func proofTiles(p lists.Proof) []Tile {
	var should, does, missing, extra int
	for _, l := range p.Lists {
		should, does, missing, extra = should+l.Should, does+l.Does, missing+l.Missing, extra+l.Extra
	}
	return []Tile{
		{Name: "Should be on a list", Figure: number(should), More: "memberships that the rules want"},
		{Name: "Are on a list", Figure: number(does), More: "as far as known"},
		{Name: "Missing", Figure: number(missing), Bad: missing > 0},
		{Name: "Too many", Figure: number(extra), Bad: extra > 0},
		{Name: "Held by the brake", Figure: number(p.Braked), Bad: p.Braked > 0, Link: "/lists/runs"},
		{Name: "Nobody can say", Figure: number(p.Blocked), More: "see the issues", Bad: p.Blocked > 0, Link: "/issues"},
		{Name: "Not read yet", Figure: number(p.Unread)},
	}
}

// agentKeys lists who may have lists.
func (s *Server) agentKeys(r *http.Request) ([]string, error) {
	agents, err := s.Store.Agents(r.Context())
	if err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(agents)+1)
	for _, a := range agents {
		keys = append(keys, a.Key)
	}
	if key := s.Lists.DefaultAgent; key != "" && !slices.Contains(keys, key) {
		keys = append(keys, key)
	}
	return keys, nil
}

func (s *Server) addList(r *http.Request) (view, error) {
	in := listView{AgentKey: r.PostForm.Get("agentKey"), ListKey: r.PostForm.Get("listKey"), AlowareListID: r.PostForm.Get("alowareListId"),
		AlowareListName: r.PostForm.Get("alowareListName")}
	l, err := s.keepList(r, in)
	if err != nil {
		return view{}, err
	}
	return view{redirect: "/lists", notice: "Saved " + l.Name + ". Whoever it concerns converges within five minutes, or after a rebuild."}, nil
}

type oneListView struct {
	lists.ListProof
	AsOf  time.Time
	Names map[string]string
	Agent string
	Known bool // whether the registry has it
	Empty Empty
}

func (s *Server) listPage(r *http.Request) (view, error) {
	proof, err := s.Lists.LatestProof(r.Context())
	if err != nil {
		return view{}, err
	}
	agent, list := r.PathValue("agent"), r.PathValue("list")
	i := slices.IndexFunc(proof.Lists, func(l lists.ListProof) bool { return l.AgentKey == agent && l.ListKey == list })
	if i < 0 {
		return view{}, store.ErrNotFound
	}
	data := oneListView{ListProof: proof.Lists[i], AsOf: proof.AsOf, Empty: Empty{Title: "Everybody is where they should be",
		Text: "As far as known: Aloware shows its lists to nobody. If people were lost there, rebuild this list anew."}}
	registry, err := store.CallLists(r.Context(), s.Store)
	if err != nil {
		return view{}, err
	}
	data.Known = slices.ContainsFunc(registry, func(l store.CallList) bool { return l.AgentKey == agent && l.ListKey == list })
	ids := make([]string, len(data.Differences))
	for i, d := range data.Differences {
		ids[i] = d.PersonID
	}
	data.Names, err = s.namesOf(r.Context(), ids)
	return view{template: "list.html", title: data.Name, section: "lists", data: data}, err
}

func (s *Server) confirmDeleteList(r *http.Request) (view, error) {
	agent, list := r.PathValue("agent"), r.PathValue("list")
	path := "/lists/" + url.PathEscape(agent) + "/" + url.PathEscape(list)
	return confirm("lists", confirmation{
		Question: "Take this list out of the registry?", Subject: lists.ListName(agent, list), Button: "Take it out", Danger: true,
		Says: "The rules then put nobody on it any more, and whoever is on it is taken off: within five minutes, or at once by a rebuild. " +
			"If that moves many people, it waits for approval. The list itself stays in Aloware.",
		Post: path + "/delete", Back: path,
	}), nil
}

func (s *Server) removeList(r *http.Request) (view, error) {
	r.SetPathValue("agentKey", r.PathValue("agent"))
	r.SetPathValue("listKey", r.PathValue("list"))
	if _, err := s.deleteList(r); err != nil {
		return view{}, err
	}
	return view{redirect: "/lists", notice: "The list is out of the registry."}, nil
}

type personListsView struct {
	lists.Explanation
	Name  string
	Empty Empty // when nothing is decided yet
}

func (s *Server) personListsPage(r *http.Request) (view, error) {
	id := r.PathValue("id")
	e, err := s.Lists.Explain(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) {
		if _, err := store.PersonByID(r.Context(), s.Store, id); err != nil {
			return view{}, err
		}
		e, err = lists.Explanation{PersonID: id, State: "not_decided"}, nil
	}
	if err != nil {
		return view{}, err
	}
	name, err := s.nameOf(r.Context(), id)
	return view{template: "personlists.html", title: "Lists of " + name, section: "people", live: true, data: personListsView{e, name, Empty{
		Title: "Nothing is decided yet", Text: "Lists are decided when the person converges. Press “Converge now” on the person's page.",
		Link: "/people/" + url.PathEscape(id), Label: "Person"}}}, err
}

type seedPageView struct {
	seedView
	Empty Empty
}

// seedPage shows what seeding would do.
func (s *Server) seedPage(r *http.Request) (view, error) {
	seed, err := s.seed(r, true)
	if err != nil {
		return view{}, err
	}
	return view{template: "seed.html", title: "Seed agents", section: "agents", data: seedPageView{seed, Empty{
		Title: "Nothing to do", Text: "Every user whom both systems know by the same e-mail address is an agent already.", Link: "/agents", Label: "Agents"}}}, nil
}

func (s *Server) seedNow(r *http.Request) (view, error) {
	seed, err := s.seed(r, false)
	if err != nil {
		return view{}, err
	}
	parts := []string{number(len(seed.Created)) + " agents were made", number(len(seed.Updated)) + " completed"}
	if n := len(seed.Ambiguous); n > 0 {
		parts = append(parts, number(n)+" addresses are left to you")
	}
	return view{redirect: "/agents", notice: strings.Join(parts, ", ") + "."}, nil
}

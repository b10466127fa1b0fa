package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/store"
)

type rulesPageView struct {
	Tabs     []Tab
	Version  int64
	Text     string // the table as it stands in the form
	Note     string
	Fault    string // why it cannot be used
	Tried    *lists.Report
	History  []ruleVersion
	ListKeys []string
	TagMode  string
	Names    map[string]string
}

// rulesText is a table as people edit it: one rule a line.
func rulesText(rules []lists.Rule) string {
	var out bytes.Buffer
	out.WriteString("[\n")
	for i, rule := range rules {
		line, _ := json.Marshal(rule) // plain structs always encode
		out.WriteString("  ")
		out.Write(line)
		if i < len(rules)-1 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	out.WriteString("]\n")
	return out.String()
}

func (s *Server) rulesPage(r *http.Request) (view, error) { return s.rulesForm(r, rulesPageView{}) }

// rulesForm shows the editor, with what was typed if anything was.
func (s *Server) rulesForm(r *http.Request, data rulesPageView) (view, error) {
	setup, version, err := s.Lists.Setup(r.Context())
	if err != nil {
		return view{}, err
	}
	waiting, err := s.waitingRuns(r)
	if err != nil {
		return view{}, err
	}
	answer, err := s.getRules(r)
	if err != nil {
		return view{}, err
	}
	data.Tabs, data.Version, data.History = s.listTabs(r, len(waiting)), version, answer.(rulesView).History
	data.ListKeys, data.TagMode = s.Lists.Vocabulary.ListKeys, string(s.Lists.Vocabulary.TagMode)
	if data.Text == "" {
		data.Text = rulesText(setup.Rules.Rules)
	}
	if data.Tried != nil {
		data.Names, err = s.moveNames(r, data.Tried.Moves)
	}
	return view{template: "listrules.html", title: "Rules for lists", section: "lists", data: data}, err
}

// changeRules tries a table or puts it in force. What was typed is never lost.
func (s *Server) changeRules(r *http.Request) (view, error) {
	data := rulesPageView{Text: r.PostForm.Get("rules"), Note: strings.TrimSpace(r.PostForm.Get("note"))}
	put := lists.PutRules{Rules: []byte(`{"rules":` + data.Text + `}`), Note: data.Note, Replaces: -1, DryRun: r.PostForm.Get("do") != "enforce"}
	if version := r.PostForm.Get("version"); version != "" {
		if err := json.Unmarshal([]byte(version), &put.Replaces); err != nil {
			return view{}, invalid("version must be a number")
		}
	}
	report, err := s.setRules(r, put)
	if known := df.AsError(err); err != nil && known.Status < 500 {
		data.Fault = known.Message
		return s.rulesForm(r, data)
	}
	switch {
	case err != nil:
		return view{}, err
	case put.DryRun:
		data.Tried = &report
		return s.rulesForm(r, data)
	case report.State == lists.RunWaiting:
		return view{redirect: "/lists/runs/" + report.RunID, notice: "Version " + number(report.Version) + " would move many people. It waits for approval."}, nil
	}
	return view{redirect: "/lists/rules", notice: "Version " + number(report.Version) + " is in force."}, nil
}

// namedMove is a move with the person's name.
type namedMove struct {
	lists.Move
	Name string
}

func namedMoves(moves []lists.Move, names map[string]string) []namedMove {
	rows := make([]namedMove, len(moves))
	for i, m := range moves {
		rows[i] = namedMove{m, names[m.PersonID]}
	}
	return rows
}

// moveNames names the people of a report.
func (s *Server) moveNames(r *http.Request, moves []lists.Move) (map[string]string, error) {
	ids := make([]string, len(moves))
	for i, m := range moves {
		ids[i] = m.PersonID
	}
	return s.namesOf(r.Context(), ids)
}

type rebuildView struct {
	Tabs   []Tab
	Looked bool // whether everybody was looked at
	Report lists.Report
	Names  map[string]string
	On     bool
	Empty  Empty
}

// rebuildPage offers a rebuild, and says what it would do when asked: for that
// everybody has to be looked at, and of very many people that takes seconds.
func (s *Server) rebuildPage(r *http.Request) (view, error) {
	waiting, err := s.waitingRuns(r)
	if err != nil {
		return view{}, err
	}
	data := rebuildView{Tabs: s.listTabs(r, len(waiting)), Looked: r.URL.Query().Has("look"), On: s.ListSync, Empty: Empty{
		Title: "Nobody would be moved", Text: "Everybody of whom something is known is where they should be."}}
	if data.Looked {
		if data.Report, err = s.Lists.Run(r.Context(), lists.Rebuild{DryRun: true}); err != nil {
			return view{}, err
		}
		data.Names, err = s.moveNames(r, data.Report.Moves)
	}
	return view{template: "listrebuild.html", title: "Rebuild lists", section: "lists", data: data}, err
}

func (s *Server) rebuildNow(r *http.Request) (view, error) {
	report, err := s.rebuild(r, lists.Rebuild{Force: r.PostForm.Get("force") == "yes"})
	if err != nil {
		return view{}, err
	}
	switch report.State {
	case lists.RunWaiting:
		return view{redirect: "/lists/runs/" + report.RunID, notice: "This would move many people. It waits for approval."}, nil
	case lists.DryRun:
		return view{redirect: "/lists", notice: "There is nobody to look at yet."}, nil
	}
	return view{redirect: "/lists", notice: "Whoever differs converges now: " + number(report.Added) + " are added, " + number(report.Moved) + " moved, " +
		number(report.Removed) + " taken off."}, nil
}

// runRow is a run with its totals read.
type runRow struct {
	store.ListRun
	Totals lists.Totals
}

func rowOfRun(run store.ListRun) (runRow, error) {
	row := runRow{ListRun: run}
	return row, json.Unmarshal([]byte(run.Totals), &row.Totals)
}

type runsView struct {
	Tabs  []Tab
	Runs  []runRow
	Empty Empty
}

func (s *Server) runsPage(r *http.Request) (view, error) {
	runs, err := s.Store.ListRuns(r.Context(), pageRows)
	if err != nil {
		return view{}, err
	}
	data := runsView{Empty: Empty{Title: "No runs yet", Text: "A rebuild, new rules, or a change of settings, agents or lists is a run over everybody. What would move many waits here for you."}}
	waiting := 0
	for _, run := range runs {
		row, err := rowOfRun(run)
		if err != nil {
			return view{}, err
		}
		if run.State == lists.RunWaiting {
			waiting++
		}
		data.Runs = append(data.Runs, row)
	}
	data.Tabs = s.listTabs(r, waiting)
	return view{template: "listruns.html", title: "Runs over lists", section: "lists", live: true, data: data}, nil
}

type runPageView struct {
	runRow
	Names map[string]string
	Held  int // people whom the brake holds now
}

func (s *Server) runPage(r *http.Request) (view, error) {
	run, err := store.ListRunByID(r.Context(), s.Store, r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	data := runPageView{}
	if data.runRow, err = rowOfRun(run); err != nil {
		return view{}, err
	}
	if data.Names, err = s.moveNames(r, data.Totals.Moves); err != nil {
		return view{}, err
	}
	data.Held, err = s.Store.CountIntents(r.Context(), lists.Braked)
	return view{template: "listrun.html", title: "Run over lists", section: "lists", data: data}, err
}

func (s *Server) decideRun(r *http.Request) (view, error) {
	id := r.PathValue("id")
	if r.PostForm.Get("do") == "decline" {
		if _, err := s.declineRun(r); err != nil {
			return view{}, err
		}
		return view{redirect: "/lists/runs", notice: "Declined. Nobody is moved."}, nil
	}
	if err := s.listsOn(); err != nil {
		return view{}, err
	}
	report, err := s.Lists.Approve(r.Context(), id, auth.Actor(r.Context()))
	if err != nil {
		return view{}, err
	}
	err = s.audit(r, "lists.approve", id, map[string]any{"moved": report.Moved, "removed": report.Removed})
	return view{redirect: "/lists", notice: "Approved. " + number(report.Moved+report.Removed) + " people leave a list now, " + number(report.Added) + " are added."}, err
}

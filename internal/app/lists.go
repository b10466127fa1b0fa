package app

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/aloware"
	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/store"
)

// ListsConfig is how call lists and sequences are decided.
type ListsConfig struct {
	Sync         bool // decide at all
	Apply        bool // and write to Aloware
	Keys         []string
	DefaultAgent string
	TagMode      lists.TagMode
	Sequences    lists.Sequences // nil when off
	BrakePercent int
	BrakeLeast   int
}

var listKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (s *settings) lists() ListsConfig {
	on := func(name, otherwise string) bool { return s.oneOf(name, otherwise, "true", "false") == "true" }
	c := ListsConfig{
		Sync: on("ENABLE_AGENT_LIST_SYNC", "true"), Apply: on("ENABLE_POWER_DIALER_LISTS", "false"),
		Keys: s.list("AGENT_LIST_KEYS"), DefaultAgent: s.text("DEFAULT_AGENT_KEY", "UNASSIGNED"),
		TagMode:      lists.TagMode(s.oneOf("TAG_MATCH_MODE", "case_insensitive", "case_insensitive", "exact", "regex")),
		BrakePercent: s.number("DFM_LIST_BRAKE_PERCENT", 20, 0, 100), BrakeLeast: s.number("DFM_LIST_BRAKE_LEAST", 25, 0, 1_000_000),
	}
	if len(c.Keys) == 0 {
		c.Keys = []string{"CALL_NOW", "NEW_LEADS", "FOLLOW_UP", "HOT"}
		s.open("AGENT_LIST_KEYS", "CALL_NOW, NEW_LEADS, FOLLOW_UP, HOT")
	}
	for i, key := range c.Keys {
		if !listKey.MatchString(key) || slices.Contains(c.Keys[:i], key) {
			s.wrong("AGENT_LIST_KEYS", "must be a comma list of different keys of letters, digits, _ and -, such as CALL_NOW,HOT")
			break
		}
	}
	table := s.text("ALOWARE_STATUS_TO_SEQUENCE", "{}")
	sequences, err := lists.ParseSequences(table)
	if err != nil {
		s.wrong("ALOWARE_STATUS_TO_SEQUENCE", err.Error())
	}
	if on("ENABLE_ALOWARE_SEQUENCES", "false") {
		c.Sequences = sequences
	}
	return c
}

// listing is everything about call lists and sequences.
type listing struct {
	desk *lists.Desk
	sync *syncing
}

var _ converge.Follower = (*listing)(nil)

// buildLists makes it. Without ENABLE_AGENT_LIST_SYNC nothing about lists is
// decided, and the desk only serves those who look.
func (a *App) buildLists() error {
	c, s := a.config.Lists, a.sync
	l := &listing{sync: s, desk: &lists.Desk{
		Store: a.store, Gate: a.consent.gate, Vocabulary: lists.Vocabulary{ListKeys: c.Keys, TagMode: c.TagMode},
		DefaultAgent: c.DefaultAgent, Apply: c.Apply, Sequences: c.Sequences,
		Brake: lists.Brake{Percent: c.BrakePercent, Least: c.BrakeLeast}, Clock: a.clock, NewID: a.newID, Log: a.log,
	}}
	if a.config.GHL.AgentFieldKey != "" {
		l.desk.AgentField = df.CustomField(a.config.GHL.AgentFieldKey)
	}
	if s.aloware != nil {
		l.desk.Dialer, l.desk.Urgent = s.aloware, s.aloware.Reserved()
	}
	if s.ghl != nil {
		l.desk.Opportunities = &ghlOpportunities{client: s.ghl, clock: a.clock}
	}
	a.lists = l
	if c.Sync {
		s.handler.Followers = append(s.handler.Followers, l)
	}
	return nil
}

// Asks implements converge.Follower: stages decide lists, and GHL tells of them
// by events about opportunities.
func (l *listing) Asks(e df.Event) bool {
	return e.Source == df.SourceGHL && e.Notice.Kind == df.KindOpportunity
}

// Follow implements converge.Follower.
func (l *listing) Follow(ctx context.Context, lease converge.Lease, result converge.Result, events []df.Event) error {
	turn := lists.Turn{Person: result.Person, Ended: result.Ended, Asked: slices.ContainsFunc(events, l.Asks)}
	if len(events) > 0 {
		turn.EventID = events[0].ID
	}
	if contact, ok := result.Seen[df.SideGHL]; ok {
		turn.GHL = &contact
	}
	if contact, ok := result.Seen[df.SideAloware]; ok {
		turn.Aloware = &contact
	}
	return l.desk.Follow(ctx, lease, turn)
}

// left makes the person of an Aloware contact converge that was taken off its
// lists beside the person's lane, if any list was known of.
func (l *listing) left(ctx context.Context, alowareContactID string) error {
	holding, err := store.ListHoldingOf(ctx, l.sync.store, alowareContactID)
	if errors.Is(err, store.ErrNotFound) || err == nil && holding.Lists == "[]" {
		return nil
	}
	if err != nil {
		return err
	}
	person, err := store.PersonByContact(ctx, l.sync.store, df.SideAloware, alowareContactID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return l.sync.store.Nudge(ctx, store.PersonLane(person.ID), l.sync.clock())
}

// ghlOpportunities is GHL as the desk needs it. Pipelines are kept, and asked for
// again when a stage is not among them or may have another name by now.
type ghlOpportunities struct {
	client *ghl.Client
	clock  df.Clock

	mu        sync.Mutex
	pipelines []ghl.Pipeline
	readAt    time.Time
}

const (
	pipelinesLast  = 10 * time.Minute
	pipelinesRetry = time.Minute
)

var _ lists.Opportunities = (*ghlOpportunities)(nil)

// OpportunitiesOf implements lists.Opportunities.
func (g *ghlOpportunities) OpportunitiesOf(ctx context.Context, contactID string) ([]lists.Opportunity, error) {
	found, err := g.client.OpportunitiesOf(ctx, contactID)
	if err != nil {
		return nil, err
	}
	named := make([]lists.Opportunity, len(found))
	for i, o := range found {
		named[i] = lists.Opportunity{ID: o.ID, PipelineID: o.PipelineID, StageID: o.StageID, Status: o.Status, ChangedAt: o.ChangedAt}
		if named[i].Pipeline, named[i].Stage, err = g.names(ctx, o); err != nil {
			return nil, err
		}
	}
	return named, nil
}

// names resolves a pipeline and a stage. A stage that no pipeline has any more has
// no name, which is no failure.
func (g *ghlOpportunities) names(ctx context.Context, o ghl.Opportunity) (pipeline, stage string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.clock().Sub(g.readAt) > pipelinesLast {
		g.pipelines, g.readAt = nil, time.Time{}
	}
	for {
		for _, p := range g.pipelines {
			if name, ok := p.Stages[o.StageID]; ok {
				return p.Name, name, nil
			}
			if p.ID == o.PipelineID {
				pipeline = p.Name
			}
		}
		age := g.clock().Sub(g.readAt)
		if o.StageID == "" || !g.readAt.IsZero() && age < pipelinesRetry {
			return pipeline, "", nil
		}
		read, err := g.client.Pipelines(ctx)
		if err != nil {
			return "", "", err
		}
		g.pipelines, g.readAt = read, g.clock()
	}
}

// Users implements console.UserBook: the users of both systems.
func (l *listing) Users(ctx context.Context) (fromGHL, fromAloware []lists.User, err error) {
	if l.sync.ghl == nil || l.sync.aloware == nil {
		return nil, nil, badRequest("agents are matched between GoHighLevel and Aloware; configure both first")
	}
	location, err := l.sync.ghl.GetLocation(ctx)
	if err != nil {
		return nil, nil, err
	}
	for query := (ghl.UserQuery{CompanyID: location.CompanyID}); ; {
		page, next, err := l.sync.ghl.SearchUsers(ctx, query)
		if err != nil {
			return nil, nil, err
		}
		for _, u := range page {
			if !u.Deleted {
				fromGHL = append(fromGHL, lists.User{ID: u.ID, Name: userName(u), Email: u.Email})
			}
		}
		if next == 0 || next <= query.Skip {
			break
		}
		query.Skip = next
	}
	var users []aloware.User
	if users, err = l.sync.aloware.Users(ctx); err != nil {
		return nil, nil, err
	}
	for _, u := range users {
		fromAloware = append(fromAloware, lists.User{ID: u.ID, Name: u.Name, Email: u.Email})
	}
	return fromGHL, fromAloware, nil
}

func userName(u ghl.User) string {
	switch {
	case u.Name != "":
		return u.Name
	case u.LastName == "":
		return u.FirstName
	}
	return u.FirstName + " " + u.LastName
}

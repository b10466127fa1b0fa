package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/aloware"
	"github.com/df-middleware/dfm/internal/broadcasts"
	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// syncing is everything that brings contacts into agreement.
type syncing struct {
	store      *store.Store
	clock      df.Clock
	ghl        *ghl.Client
	install    *ghl.App // our Marketplace app at GHL, nil when none is configured
	ghlSide    *ghl.Side
	aloware    *aloware.Client
	converger  *converge.Converger
	handler    *converge.Handler
	callers    map[string]*egress.Client // by upstream, for health
	provider   *ghl.Client               // with the token of our own app, nil without one
	texts      *texts
	broadcasts *broadcasts.Desk
}

// buildSync makes the upstreams that are configured and what converges them.
// One that is not configured is left out; nothing about it is lost.
func (a *App) buildSync() error {
	s := &syncing{store: a.store, clock: a.clock, callers: map[string]*egress.Client{}}
	sides := map[df.Side]converge.Side{}
	var err error
	if s.install, err = a.buildInstallation(); err != nil {
		return err
	}
	if a.config.GHL.APIKey.Set() || s.install != nil && a.config.GHL.LocationID != "" {
		if err := a.buildGHL(s); err != nil {
			return err
		}
		sides[df.SideGHL] = s.ghlSide
	}
	if a.config.Aloware.Token.Set() {
		sides[df.SideAloware] = a.buildAloware(s)
	}
	policy, err := converge.ParsePolicy(a.config.SourceOfTruth)
	if err != nil {
		return err
	}
	limits := converge.DefaultLimits()
	s.converger = &converge.Converger{
		Sides:  sides,
		Ledger: converge.Stored{Store: a.store, Clock: a.clock, NewID: a.newID, Breaker: limits.Breaker},
		People: a.directory(),
		Rules:  converge.Rules{Policy: policy}, Limits: limits, Clock: a.clock, Log: a.log,
	}
	s.handler = &converge.Handler{Converger: s.converger}
	a.sync = s
	return nil
}

// directory decides who is who.
func (a *App) directory() *people.Directory {
	return &people.Directory{Registry: people.Stored{Store: a.store, Linked: a.linked}, Clock: a.clock, NewID: a.newID}
}

// The names of the budgets, which all instances share: GHL counts by location,
// Aloware by account.
const alowareAccount = "aloware"

func (c Config) ghlAccount() string { return "ghl:" + c.GHL.LocationID }

func (a *App) buildGHL(s *syncing) error {
	c := a.config.GHL
	caller := a.caller("ghl", a.config.ghlAccount(), egress.Limit{
		Calls: c.RatePer10s, Per: 10 * time.Second, Burst: max(1, c.RatePer10s/4), Reserve: 0.1,
	}, 15*time.Second)
	s.callers["ghl"] = caller
	var credentials ghl.Credentials = ghl.PIT(c.APIKey)
	if !c.APIKey.Set() {
		credentials = s.install.Credentials(c.LocationID)
	}
	options := ghl.ClientOptions{
		Caller: caller, Credentials: credentials, LocationID: c.LocationID, BaseURL: c.BaseURL,
		Region: a.config.Region, Log: a.log,
	}
	client, err := ghl.NewClient(options)
	if err != nil {
		return err
	}
	s.ghl = client
	if s.install != nil {
		options.Credentials = s.install.Credentials(c.LocationID)
		if s.provider, err = ghl.NewClient(options); err != nil {
			return err
		}
	}
	side := ghl.SideOptions{Client: client, Agents: a.store, CustomFields: identity(c.CustomFields), Clock: a.clock, Log: a.log}
	if a.config.Lists.Sync {
		side.AgentField = c.AgentFieldKey
	}
	s.ghlSide = ghl.NewSide(side)
	return nil
}

// identity maps each GHL field name to itself: a custom field's key within the
// program is its name at GHL.
func identity(fields map[string]string) map[string]string {
	names := make(map[string]string, len(fields))
	for name := range fields {
		names[name] = name
	}
	return names
}

func (a *App) buildAloware(s *syncing) converge.Side {
	c := a.config.Aloware
	caller := a.caller("aloware", alowareAccount, egress.Limit{
		Calls: c.RatePerSecond, Per: time.Second, Burst: max(8, 2*c.RatePerSecond), Reserve: 0.2,
	}, 15*time.Second)
	s.callers["aloware"] = caller
	s.aloware = aloware.NewClient(caller, c.BaseURL, c.Token)
	custom := aloware.Custom{}
	for name, key := range a.config.GHL.CustomFields {
		custom[df.CustomField(name)] = key
	}
	if name, _ := lists.ListStatus.Custom(); custom[lists.ListStatus] == "" && a.config.Lists.Sequences != nil {
		custom[lists.ListStatus] = name
	}
	return alowareSide{a.store, aloware.NewSide(aloware.SideOptions{
		Client: s.aloware, Clock: a.clock, Region: a.config.Region, Agents: a.store, Custom: custom,
	})}
}

// alowareSide is Aloware as converge needs it.
type alowareSide struct {
	store *store.Store
	*aloware.Side
}

// Retire implements converge.Retirer. Do-not-call is then our own word for a
// contact that is gone, not the person's: what we ask for is noted before it is
// asked, so that Aloware's announcement of it is known for an echo and opts
// nobody out.
func (s alowareSide) Retire(ctx context.Context, ref df.Ref) error {
	if ref.ID != "" {
		err := s.store.InTx(ctx, func(tx store.Tx) error {
			known, err := store.FlagsOf(ctx, tx, df.SideAloware, ref.ID)
			if err != nil || known.Call != nil && *known.Call {
				return err
			}
			asked := true
			known.AskedCall = &asked
			return store.SaveFlags(ctx, tx, known)
		})
		if err != nil {
			return fmt.Errorf("note that Aloware is asked for do-not-call: %w", err)
		}
	}
	return s.Side.Retire(ctx, ref)
}

// unlimited is for calls that are rare by themselves.
var unlimited = egress.Limit{}

// caller makes the way out to one upstream.
func (a *App) caller(upstream, account string, limit egress.Limit, timeout time.Duration) *egress.Client {
	return egress.New(egress.Options{
		Upstream: upstream, Transport: egress.NewTransport(), Clock: a.clock, Log: a.log,
		Budget: budget{a.store, a.clock}, Account: account, Limit: limit, Timeout: timeout,
		Redactor: a.config.Redactor(), RateHeaders: egress.RateLimitHeaders,
		Observe: a.observeCall,
	})
}

// Handle implements queue.Handler: it hands a turn to the room that converges.
// Installations of our app are about no person and are settled here.
func (s *syncing) Handle(ctx context.Context, turn store.Turn) ([]store.Result, error) {
	if len(turn.Events) > 0 && s.install != nil {
		switch turn.Events[0].Notice.Kind {
		case df.KindInstall, df.KindUninstall:
			return s.lifecycle(ctx, turn.Events[0]), nil
		}
	}
	if id, ok := strings.CutPrefix(turn.Lease.Lane, broadcastLane); ok {
		return s.announced(ctx, turn, id)
	}
	for i, e := range turn.Events {
		turn.Events[i].Notice.Contact = s.texts.carried(e)
	}
	outcomes, err := s.handler.Handle(ctx, people.Lease(turn.Lease), turn.Events, turn.Nudges)
	if errors.Is(err, people.ErrLeaseLost) {
		return nil, store.ErrLeaseLost
	}
	results := make([]store.Result, len(outcomes))
	for i, o := range outcomes {
		results[i] = store.Result(o)
		if o.MoveTo != "" {
			results[i].Status = df.Pending
		}
	}
	return results, err
}

// lifecycle settles one installation event; its lane goes on with the next.
func (s *syncing) lifecycle(ctx context.Context, e df.Event) []store.Result {
	result := store.Result{EventID: e.ID, Status: df.Done}
	if err := s.install.Lifecycle(ctx, e.Raw); err != nil {
		_, retryAt := df.OutcomeOf(err)
		result.Status, result.Error, result.RetryAt = df.Failed, "the installation could not be settled", retryAt
	}
	return []store.Result{result}
}

// SyncContact makes one contact converge soon. A contact that nobody has yet is
// looked up first, at the side that was named or by its phone at both.
func (s *syncing) SyncContact(ctx context.Context, ghlID, alowareID, phone string) (string, error) {
	person, err := s.personOf(ctx, ghlID, alowareID, phone)
	if err != nil {
		return "", err
	}
	return person, s.store.Nudge(ctx, store.PersonLane(person), s.clock())
}

func notFound(message string) error {
	return &df.Error{Code: "NOT_FOUND", Message: message, Status: http.StatusNotFound}
}

func (s *syncing) personOf(ctx context.Context, ghlID, alowareID, phone string) (string, error) {
	filter := store.PersonFilter{GHLContactID: ghlID, AlowareContactID: alowareID, Limit: 2, Active: true}
	if phone != "" {
		number, err := df.ParsePhone(phone, "")
		if err != nil {
			return "", &df.Error{Code: "INVALID_REQUEST", Message: "phone is not a phone number", Status: http.StatusBadRequest}
		}
		filter.Phone = number
	}
	known, err := s.store.People(ctx, filter)
	switch {
	case err != nil:
		return "", err
	case len(known) == 1:
		return known[0].ID, nil
	case len(known) > 1:
		return "", &df.Error{Code: "CONFLICT", Message: "several people have this phone; name a contact id", Status: http.StatusConflict}
	}
	return s.meet(ctx, ghlID, filter.Phone)
}

// meet makes a person of a contact that we have never heard of.
func (s *syncing) meet(ctx context.Context, ghlID string, phone df.Phone) (string, error) {
	side, contact, err := s.find(ctx, ghlID, phone)
	if err != nil {
		return "", err
	}
	match, err := s.converger.People.Identify(ctx, people.Lease{}, people.Clue{
		Side: side, ContactID: contact.ID, Phone: contact.Phone(), Email: contact.Get(df.Email),
	})
	if err != nil {
		return "", fmt.Errorf("identify contact: %w", err)
	}
	return match.Person.ID, nil
}

func (s *syncing) find(ctx context.Context, ghlID string, phone df.Phone) (df.Side, df.Contact, error) {
	if side := s.converger.Sides[df.SideGHL]; side != nil && ghlID != "" {
		contact, err := side.Read(ctx, df.Ref{ID: ghlID})
		if df.IsCode(err, df.CodeNotFound) {
			err = notFound("GHL has no such contact")
		}
		return df.SideGHL, contact, err
	}
	if phone == "" {
		return "", df.Contact{}, notFound("nobody is known by this id; Aloware can only be asked by phone")
	}
	for _, name := range []df.Side{df.SideGHL, df.SideAloware} {
		side := s.converger.Sides[name]
		if side == nil {
			continue
		}
		found, err := side.Find(ctx, phone, "")
		if err != nil && !df.IsCode(err, df.CodeNotFound) {
			return "", df.Contact{}, err
		}
		if len(found) == 1 {
			return name, found[0], nil
		}
	}
	return "", df.Contact{}, notFound("no side has exactly one contact with this phone")
}

package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/aloware"
	"github.com/df-middleware/dfm/internal/calls"
	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// CallsConfig is how Aloware's calls are shown in GHL.
type CallsConfig struct {
	ProviderID string // of our call provider at GHL
	Rules      calls.Rules
	Zone       *time.Location // when the location's own cannot be read
	LinkTime   time.Duration
}

func (s *settings) calls() CallsConfig {
	c := CallsConfig{
		ProviderID: s.text("GHL_CALL_PROVIDER_ID", ""), Zone: time.UTC,
		LinkTime: s.duration("DFM_RECORDING_LINK_TIME", 30*24*time.Hour, time.Minute),
	}
	var err error
	if c.Rules, err = calls.ParseRules(s.text("DFM_CALL_TAGS", calls.DefaultRules)); err != nil {
		s.wrong("DFM_CALL_TAGS", `must be rules such as "disposition:* => Disposition: {}; outcome:missed => Call back", or off: `+err.Error())
	}
	if c.Zone, err = time.LoadLocation(s.text("DFM_LOCATION_TIMEZONE", "UTC")); err != nil {
		s.wrong("DFM_LOCATION_TIMEZONE", "must be a time zone such as America/Chicago")
		c.Zone = time.UTC
	}
	return c
}

// callsRoom is everything about calls: how they are read, the desk that works
// them, and the links to their audio.
type callsRoom struct {
	aloware aloware.Decoder
	desk    *calls.Desk
	links   *callLinks // nil without an encryption key
}

var _ converge.Effects = (*callsRoom)(nil)

// buildCalls makes it.
func (a *App) buildCalls() error {
	c := a.config.Calls
	room := &callsRoom{aloware: aloware.Decoder{Region: a.config.Region}}
	room.desk = &calls.Desk{
		Store: a.store, Once: effects.Runner{Store: a.store, Clock: a.clock}, LinkTime: c.LinkTime, Rules: c.Rules,
		Clock: a.clock, NewID: a.newID, Log: a.log,
		Office: &office{store: a.store, ghl: a.sync.ghl, aloware: a.sync.aloware, fallback: c.Zone, clock: a.clock, log: a.log},
	}
	if a.vault != nil {
		room.links = newCallLinks(a.config.BaseURL, append([][]byte{a.config.Encryption}, a.config.OldKeys...))
		room.desk.Sealer = a.vault
		if a.config.BaseURL != "" {
			room.desk.Link = room.links.link
		}
	}
	if a.sync.ghl != nil {
		room.desk.GHL = ghlCalls{texts: ghlTexts{own: a.sync.ghl, provider: a.sync.provider, providerID: a.config.GHL.ProviderID},
			providerID: c.ProviderID}
	}
	a.calls = room
	a.sync.handler.Effects = append(a.sync.handler.Effects, room)
	return nil
}

// Wants implements converge.Effects.
func (c *callsRoom) Wants(e df.Event) (wanted, contact bool) {
	if e.Source != df.SourceAloware {
		return false, false
	}
	switch e.Notice.Kind {
	case df.KindCall, df.KindCallDisposed, df.KindRecording, df.KindVoicemail, df.KindTranscription, df.KindCallSummary:
		return true, c.desk.GHL != nil
	}
	return false, false
}

// Owner implements converge.Effects: a transcription may name only its call.
func (c *callsRoom) Owner(ctx context.Context, e df.Event) (string, error) {
	return c.desk.Owner(ctx, e.Notice.EntityID)
}

// Witness implements converge.Effects. Calls to people who had said stop are
// noticed by the texts' room.
func (c *callsRoom) Witness(context.Context, string, df.Event) error { return nil }

// Do implements converge.Effects.
func (c *callsRoom) Do(ctx context.Context, lease people.Lease, p people.Person, e df.Event) (converge.Outcome, error) {
	said, ok := c.aloware.Communication(e.Raw)
	if !ok || said.Kind != df.KindCall {
		return converge.Outcome{Status: df.Skipped, Reason: "not a call"}, nil
	}
	o, err := c.desk.Hear(ctx, lease, p, e, callOf(said))
	return converge.Outcome{Status: o.Status, Reason: o.Reason, Error: o.Error, RetryAt: o.RetryAt, Postponed: o.Postponed}, err
}

// callOf is a delivery in the desk's form: a call of which nothing else is known.
func callOf(said aloware.Communication) calls.Call {
	at := said.UpdatedAt.UTC()
	c := calls.Call{
		ID: said.ID, Customer: calls.Said[df.Phone]{Value: said.Contact, At: at}, Line: calls.Said[df.Phone]{Value: said.Line, At: at},
		AgentID: calls.Said[string]{Value: said.UserID, At: at}, Ending: calls.Said[string]{Value: said.Ending, At: at},
		Disposition: calls.Said[string]{Value: said.Disposition, At: at},
		Seconds:     calls.Said[int64]{Value: int64(said.Duration.Seconds()), At: at},
		TalkSeconds: calls.Said[int64]{Value: int64(said.TalkTime.Seconds()), At: at},
		Notes:       calls.Said[string]{Value: said.Notes, At: at}, Summary: calls.Said[string]{Value: said.Summary, At: at},
		Transcript: calls.Said[string]{Value: said.Transcription, At: at},
		Recording:  calls.Said[df.Secret]{Value: said.Recording, At: at}, Voicemail: calls.Said[df.Secret]{Value: said.Voicemail, At: at},
		Outcomes: said.Outcomes, StartedAt: said.StartedAt.UTC(), Over: said.Over, Recorded: said.Recording.Set(),
		VoicemailLeft: said.Voicemail.Set() || said.Ending == calls.Voicemail || said.Ending == calls.MissedVM,
	}
	if said.Directed {
		c.Direction = calls.Said[calls.Direction]{Value: calls.Inbound, At: at}
		if said.Outbound {
			c.Direction.Value = calls.Outbound
		}
	}
	return c
}

// ghlCalls is GHL as the desk needs it. Only the token of our own app may log
// calls; notes and tags are anybody's.
type ghlCalls struct {
	texts      ghlTexts
	providerID string
}

// Log implements calls.GHL.
func (g ghlCalls) Log(ctx context.Context, l calls.Logging) (string, error) {
	if g.texts.provider == nil || g.providerID == "" {
		return "", &df.CallError{Upstream: "ghl", Operation: "log call", Outcome: df.RetryLater, Code: df.CodeUnconfigured,
			Message: "only our own app may; set GHL_CALL_PROVIDER_ID and install it"}
	}
	data := &ghl.CallData{From: string(l.Customer), To: string(l.Line), Status: l.Status}
	if l.Direction == calls.Inbound {
		logged, err := g.texts.provider.AddInbound(ctx, ghl.InboundMessage{Type: "Call", ContactID: l.ContactID, ProviderID: g.providerID,
			AltID: l.AltID, Direction: string(l.Direction), Date: l.At.UTC(), Attachments: l.Attachments, Call: data})
		return logged.MessageID, err
	}
	data.From, data.To = data.To, data.From
	logged, err := g.texts.provider.AddExternalCall(ctx, ghl.ExternalCall{ContactID: l.ContactID, ProviderID: g.providerID,
		AltID: l.AltID, Date: l.At.UTC(), Attachments: l.Attachments, Call: data})
	return logged.MessageID, err
}

// Logged implements calls.GHL.
func (g ghlCalls) Logged(ctx context.Context, contactID, altID string) (string, error) {
	found, err := g.texts.own.FindConversation(ctx, contactID)
	if df.IsCode(err, df.CodeNotFound) {
		return "", nil // no conversation, no log
	}
	if err != nil {
		return "", err
	}
	return g.texts.Logged(ctx, found.ID, altID)
}

// Attach implements calls.GHL.
func (g ghlCalls) Attach(ctx context.Context, messageID string, urls []string) error {
	if g.texts.provider == nil {
		return &df.CallError{Upstream: "ghl", Operation: "set attachments", Outcome: df.Refused, Code: df.CodeInvalid,
			Message: "only our own app may"}
	}
	return g.texts.provider.SetAttachments(ctx, messageID, urls)
}

// AddNote implements calls.GHL.
func (g ghlCalls) AddNote(ctx context.Context, contactID, body string) (string, error) {
	note, err := g.texts.own.CreateNote(ctx, contactID, ghl.NoteDraft{Body: body})
	if err == nil && note.ID == "" {
		err = &df.CallError{Upstream: "ghl", Operation: "create note", Outcome: df.Unclear, Code: df.CodeGarbled, Message: "the answer names no note"}
	}
	return note.ID, err
}

// FindNote implements calls.GHL.
func (g ghlCalls) FindNote(ctx context.Context, contactID string, is func(body string) bool) (string, error) {
	notes, err := g.texts.own.ListNotes(ctx, contactID)
	if err != nil {
		return "", err
	}
	for _, note := range notes {
		if is(note.Body) {
			return note.ID, nil
		}
	}
	return "", nil
}

// EditNote implements calls.GHL.
func (g ghlCalls) EditNote(ctx context.Context, contactID, noteID, body string) error {
	return g.texts.own.UpdateNote(ctx, contactID, noteID, ghl.NoteDraft{Body: body})
}

// Tag implements calls.GHL.
func (g ghlCalls) Tag(ctx context.Context, contactID string, add, remove []string) error {
	if len(remove) > 0 {
		if err := g.texts.own.RemoveTags(ctx, contactID, remove); err != nil {
			return err
		}
	}
	if len(add) == 0 {
		return nil
	}
	return g.texts.own.AddTags(ctx, contactID, add)
}

// officeTime is how long what the office knows is believed, and troubleTime how
// long nobody is asked again after a failure.
const (
	officeTime  = time.Hour
	troubleTime = time.Minute
)

// office knows the agents and the location's zone. What it cannot find out is no
// reason to keep a call waiting.
type office struct {
	store    *store.Store
	ghl      *ghl.Client     // may be nil
	aloware  *aloware.Client // may be nil
	fallback *time.Location
	clock    df.Clock
	log      *slog.Logger

	mu         sync.Mutex
	zone       *time.Location
	zoneUntil  time.Time
	users      map[string]string
	usersUntil time.Time
}

// Agent implements calls.Office: the directory's name, else Aloware's.
func (o *office) Agent(ctx context.Context, userID string) string {
	agents, err := o.store.Agents(ctx)
	if err != nil {
		o.log.WarnContext(ctx, "the agents cannot be read", "error", err)
	}
	for _, agent := range agents {
		if agent.AlowareUserID == userID && agent.DisplayName != "" {
			return agent.DisplayName
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := o.clock(); o.aloware != nil && !now.Before(o.usersUntil) {
		users, err := o.aloware.Users(ctx)
		o.usersUntil = now.Add(officeTime)
		if err != nil {
			o.usersUntil = now.Add(troubleTime)
			o.log.WarnContext(ctx, "Aloware's users cannot be read", "error", err)
			return o.users[userID]
		}
		o.users = map[string]string{}
		for _, user := range users {
			o.users[user.ID] = user.Name
		}
	}
	return o.users[userID]
}

// Zone implements calls.Office.
func (o *office) Zone(ctx context.Context) *time.Location {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.clock()
	if o.zone == nil {
		o.zone = o.fallback
	}
	if o.ghl == nil || now.Before(o.zoneUntil) {
		return o.zone
	}
	o.zoneUntil = now.Add(officeTime)
	location, err := o.ghl.GetLocation(ctx)
	if err == nil && location.Timezone != "" {
		var zone *time.Location
		if zone, err = time.LoadLocation(location.Timezone); err == nil {
			o.zone = zone
		}
	}
	if err != nil {
		o.zoneUntil = now.Add(troubleTime)
		o.log.WarnContext(ctx, "the location's time zone cannot be read", "error", err)
	}
	return o.zone
}

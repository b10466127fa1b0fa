package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
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

// CallsConfig is how calls are shown in GHL.
type CallsConfig struct {
	ProviderID string       // of our call provider at GHL
	Rules      []calls.Rule // which tags a call gives
	Zone       *time.Location
	LinkLife   time.Duration // of links to recordings
}

func (s *settings) calls() CallsConfig {
	c := CallsConfig{ProviderID: s.text("GHL_CALL_PROVIDER_ID", ""), Zone: time.UTC,
		LinkLife: s.duration("DFM_RECORDING_LINK_LIFE", 30*24*time.Hour, time.Minute)}
	var err error
	text := s.raw("DFM_CALL_TAGS")
	if c.Rules, err = calls.ParseRules(text); err != nil {
		s.wrong("DFM_CALL_TAGS", err.Error())
	}
	s.open("DFM_CALL_TAGS", text)
	if zone := s.text("DFM_LOCATION_TIMEZONE", ""); zone != "" {
		if c.Zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
			s.wrong("DFM_LOCATION_TIMEZONE", "must be an IANA time zone such as America/New_York")
			c.Zone = time.UTC
		}
	}
	return c
}

// calling is everything about calls.
type calling struct {
	aloware aloware.Decoder
	desk    *calls.Desk
}

// buildCalls makes it.
func (a *App) buildCalls() error {
	c, base := a.config, a.config.BaseURL
	if base == "" {
		base = "http://" + c.WebAddress()
	}
	runner := effects.Runner{Store: a.store, Clock: a.clock}
	k := &calling{aloware: aloware.Decoder{Region: c.Region}, desk: &calls.Desk{
		Store: a.store, Effects: runner, Rules: c.Calls.Rules, Clock: a.clock, NewID: a.newID, Agent: a.agentName,
		Links: calls.Links{Base: base, Key: keyFor(c.Encryption, "links to recordings"), Life: c.Calls.LinkLife},
	}}
	if a.vault != nil {
		k.desk.Vault = a.vault
	}
	if a.sync.ghl != nil {
		k.desk.GHL = &ghlCalls{own: a.sync.ghl, provider: a.sync.provider, providerID: c.Calls.ProviderID, zone: c.Calls.Zone, clock: a.clock}
	}
	a.calls = k
	a.sync.handler.Effects = append(a.sync.handler.Effects, k)
	return nil
}

// keyFor derives a key for one purpose from the encryption key, or nothing when
// there is none.
func keyFor(encryption []byte, purpose string) []byte {
	if encryption == nil {
		return nil
	}
	mac := hmac.New(sha256.New, encryption)
	mac.Write([]byte("df-middleware " + purpose))
	return mac.Sum(nil)
}

// agentName names an Aloware user by the agent directory, else by the id.
func (a *App) agentName(ctx context.Context, alowareUserID string) (string, error) {
	if alowareUserID == "" {
		return "", nil
	}
	agents, err := a.store.Agents(ctx)
	if err != nil {
		return "", err
	}
	for _, agent := range agents {
		if agent.AlowareUserID == alowareUserID {
			return agent.DisplayName, nil
		}
	}
	return "Aloware user " + alowareUserID, nil
}

var _ converge.Effects = (*calling)(nil)

// Wants implements converge.Effects. Whoever is called has a contact at GHL.
func (k *calling) Wants(e df.Event) (wanted, contact bool) {
	if e.Source != df.SourceAloware {
		return false, false
	}
	switch e.Notice.Kind {
	case df.KindCall, df.KindCallDisposed, df.KindRecording, df.KindVoicemail, df.KindTranscription, df.KindCallSummary:
		return true, k.desk.GHL != nil
	}
	return false, false
}

// Owner implements converge.Effects: a transcription may name nothing but its
// call, which an earlier delivery told whose it is.
func (k *calling) Owner(ctx context.Context, e df.Event) (string, error) {
	call, err := store.CallByID(ctx, k.desk.Store, e.Notice.EntityID)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return call.PersonID, err
}

// Witness implements converge.Effects. Calls to people who had said stop are
// noticed by texts.
func (k *calling) Witness(context.Context, string, df.Event) error { return nil }

// Do implements converge.Effects.
func (k *calling) Do(ctx context.Context, lease people.Lease, p people.Person, e df.Event) (converge.Outcome, error) {
	delivery, ok := k.delivery(e)
	if !ok {
		return converge.Outcome{Status: df.Skipped, Reason: "the call cannot be read"}, nil
	}
	outcome, err := k.desk.Work(ctx, lease, p, e, delivery)
	return inLane(outcome), err
}

// delivery reads what an event says about a call.
func (k *calling) delivery(e df.Event) (calls.Delivery, bool) {
	said, ok := k.aloware.Communication(e.Raw)
	if !ok || said.Kind != df.KindCall {
		return calls.Delivery{}, false
	}
	at := said.UpdatedAt
	if at.IsZero() {
		at = e.ReceivedAt
	}
	d := calls.Delivery{ID: said.ID, ContactID: said.ContactID, Phone: said.Contact, At: at, Facts: calls.Facts{}, Recording: said.Recording}
	if !said.Recording.Set() {
		d.Recording = said.Voicemail // there is one or the other to listen to
	}
	put := func(name calls.Name, value string) {
		if value != "" {
			d.Facts[name] = calls.Fact{Value: value, At: at.UTC()}
		}
	}
	put(calls.Phone, string(said.Contact))
	put(calls.Line, string(said.Line))
	put(calls.Agent, said.UserID)
	if said.Ending != "placed" { // no end, but a beginning
		put(calls.Ending, said.Ending)
	}
	put(calls.Disposition, said.Disposition)
	put(calls.Transcript, said.Transcription)
	put(calls.Summary, said.Summary)
	put(calls.Remarks, said.Notes)
	put(calls.Outcomes, strings.Join(said.Outcomes, "\n"))
	if said.Directed {
		put(calls.Direction, map[bool]string{true: calls.Outbound, false: calls.Inbound}[said.Outbound])
	}
	if !said.StartedAt.IsZero() {
		put(calls.Started, said.StartedAt.UTC().Format(time.RFC3339))
	}
	if said.Duration > 0 {
		put(calls.Duration, strconv.Itoa(int(said.Duration.Seconds())))
	}
	if said.TalkTime > 0 {
		put(calls.Talked, strconv.Itoa(int(said.TalkTime.Seconds())))
	}
	if d.Recording.Set() {
		put(calls.Recording, calls.HashOf(d.Recording))
	}
	if e.Notice.Kind == df.KindVoicemail || said.Voicemail.Set() {
		put(calls.Voicemail, "yes")
	}
	return d, said.ID != ""
}

// ghlCalls is GHL as the desk needs it. Calls are logged by the installed app
// under its call provider, and by nobody else: a Private Integration Token cannot.
type ghlCalls struct {
	own        *ghl.Client
	provider   *ghl.Client // nil without an app
	providerID string
	zone       *time.Location // when the location's own cannot be read
	clock      df.Clock

	mu     sync.Mutex
	read   *time.Location
	readAt time.Time
}

// CanLog implements calls.GHL.
func (g *ghlCalls) CanLog() bool { return g.provider != nil && g.providerID != "" }

// LogCall implements calls.GHL. GHL takes the two numbers only when the
// customer's is the contact's own; a call with another number of the person is
// logged without them.
func (g *ghlCalls) LogCall(ctx context.Context, l calls.Log) (string, error) {
	data := &ghl.CallData{From: string(l.Line), To: string(l.Customer), Status: l.Status}
	if l.Direction == calls.Inbound {
		data.From, data.To = data.To, data.From
	}
	id, err := g.log(ctx, l, data)
	if df.IsCode(err, df.CodeInvalid) {
		return g.log(ctx, l, &ghl.CallData{Status: l.Status})
	}
	return id, err
}

func (g *ghlCalls) log(ctx context.Context, l calls.Log, data *ghl.CallData) (string, error) {
	if l.Direction == calls.Outbound {
		logged, err := g.provider.AddExternalCall(ctx, ghl.ExternalCall{ContactID: l.ContactID, ProviderID: g.providerID, AltID: l.CallID,
			Date: l.At.UTC(), Call: data})
		return logged.MessageID, err
	}
	logged, err := g.provider.AddInbound(ctx, ghl.InboundMessage{Type: "Call", ContactID: l.ContactID, ProviderID: g.providerID,
		AltID: l.CallID, Direction: l.Direction, Date: l.At.UTC(), Call: data})
	return logged.MessageID, err
}

// LoggedCall implements calls.GHL.
func (g *ghlCalls) LoggedCall(ctx context.Context, contactID, callID string) (string, error) {
	found, err := g.own.FindConversation(ctx, contactID)
	if df.IsCode(err, df.CodeNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return ghlTexts{own: g.own}.Logged(ctx, found.ID, callID)
}

// Attach implements calls.GHL.
func (g *ghlCalls) Attach(ctx context.Context, messageID, link string) error {
	if g.provider == nil {
		return nil
	}
	return g.provider.SetAttachments(ctx, messageID, []string{link})
}

// AddNote implements calls.GHL.
func (g *ghlCalls) AddNote(ctx context.Context, contactID, text string) (string, error) {
	note, err := g.own.CreateNote(ctx, contactID, ghl.NoteDraft{Body: text})
	if err == nil && note.ID == "" {
		err = &df.CallError{Upstream: "ghl", Operation: "create note", Outcome: df.Unclear, Code: df.CodeGarbled, Message: "the answer names no note"}
	}
	return note.ID, err
}

// UpdateNote implements calls.GHL.
func (g *ghlCalls) UpdateNote(ctx context.Context, contactID, noteID, text string) error {
	return g.own.UpdateNote(ctx, contactID, noteID, ghl.NoteDraft{Body: text})
}

// FindNote implements calls.GHL. GHL may show a note's text with marks of its
// editor around it, but keeps the marker in one piece.
func (g *ghlCalls) FindNote(ctx context.Context, contactID, marker string) (string, error) {
	notes, err := g.own.ListNotes(ctx, contactID)
	for _, note := range notes {
		if err == nil && containsMarker(note.Body, marker) {
			return note.ID, nil
		}
	}
	return "", err
}

// AddTags implements calls.GHL.
func (g *ghlCalls) AddTags(ctx context.Context, contactID string, tags []string) error {
	return g.own.AddTags(ctx, contactID, tags)
}

// RemoveTags implements calls.GHL.
func (g *ghlCalls) RemoveTags(ctx context.Context, contactID string, tags []string) error {
	return g.own.RemoveTags(ctx, contactID, tags)
}

// zoneLife is how long the location's time zone is believed.
const zoneLife = time.Hour

// Zone implements calls.GHL. A zone that cannot be read now is the one read
// before, else that of the settings: a note must not wait for it.
func (g *ghlCalls) Zone(ctx context.Context) *time.Location {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.clock(); g.readAt.IsZero() || now.Sub(g.readAt) > zoneLife {
		g.readAt = now
		if location, err := g.own.GetLocation(ctx); err == nil {
			if zone, err := time.LoadLocation(location.Timezone); err == nil && location.Timezone != "" {
				g.read = zone
			}
		}
	}
	if g.read != nil {
		return g.read
	}
	return g.zone
}

var _ calls.GHL = (*ghlCalls)(nil)

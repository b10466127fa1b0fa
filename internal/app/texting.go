package app

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/aloware"
	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/inbox"
	"github.com/df-middleware/dfm/internal/messages"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/texting"
	"github.com/df-middleware/dfm/internal/verity"
)

// TextingConfig is which texting systems are believed.
type TextingConfig struct {
	TwilioTokens    []df.Secret
	TelnyxKeys      []string
	StandardSecrets []df.Secret
	ToAloware       bool
	OwnNumbers      []df.Phone
}

func (s *settings) texting() TextingConfig {
	c := TextingConfig{
		TwilioTokens: s.secrets("TEXTING_TWILIO_AUTH_TOKENS"), TelnyxKeys: s.list("TEXTING_TELNYX_PUBLIC_KEYS"),
		StandardSecrets: s.secrets("TEXTING_STANDARD_SECRETS"),
		ToAloware:       s.oneOf("TEXTING_SYNC_TO_ALOWARE", "false", "true", "false") == "true",
	}
	for _, text := range s.list("DFM_OWN_NUMBERS") {
		phone, err := df.ParsePhone(text, "")
		if err != nil {
			s.wrong("DFM_OWN_NUMBERS", "must be a comma list of phone numbers such as +15005550199")
			break
		}
		c.OwnNumbers = append(c.OwnNumbers, phone)
	}
	if _, err := texting.NewTelnyx(c.TelnyxKeys, nil, texting.Decoder{}); err != nil {
		s.wrong("TEXTING_TELNYX_PUBLIC_KEYS", "must be a comma list of base64 keys from Telnyx's portal: "+err.Error())
	}
	if _, err := texting.NewStandard(c.StandardSecrets, nil, texting.Decoder{}); err != nil {
		s.wrong("TEXTING_STANDARD_SECRETS", "must be a comma list of whsec_… or whpk_…: "+err.Error())
	}
	return c
}

func (s *settings) secrets(name string) []df.Secret {
	var secrets []df.Secret
	for _, text := range s.list(name) {
		secrets = append(secrets, df.Secret(text))
	}
	return secrets
}

// texts is everything about texts: how they are read, and the desk that works
// them.
type texts struct {
	store    *store.Store
	clock    df.Clock
	texting  texting.Decoder
	ghl      ghl.Decoder
	aloware  aloware.Decoder
	provider string // our SMS provider's id at GHL
	recorder *consent.Recorder
	desk     *messages.Desk
}

// buildTexts makes it.
func (a *App) buildTexts() error {
	c := a.config
	t := &texts{
		store: a.store, clock: a.clock, recorder: a.consent.recorder, provider: c.GHL.ProviderID,
		texting: texting.Decoder{Region: c.Region, Own: func(p df.Phone) bool { return slices.Contains(c.Texting.OwnNumbers, p) }},
		ghl:     ghl.Decoder{Region: c.Region, LocationID: c.GHL.LocationID, AppID: ghl.AppID(c.GHL.ClientID)},
		aloware: aloware.Decoder{Region: c.Region},
	}
	t.desk = &messages.Desk{
		Ledger: messages.Stored{Store: a.store}, Gate: a.consent.gate, ToAloware: c.Texting.ToAloware,
		Later: func(now, before messages.Status) bool {
			return texting.Later(texting.Status(now), texting.Status(before))
		},
		Clock: a.clock, NewID: a.newID, Log: a.log,
	}
	if a.sync.ghl != nil {
		t.desk.GHL = ghlTexts{own: a.sync.ghl, provider: a.sync.provider, providerID: c.GHL.ProviderID}
	}
	if c.Verity.APIKey.Set() {
		t.desk.Sender = verityTexts{a.verity}
	}
	a.texts = t
	a.sync.texts = t
	a.sync.handler.Effects = append(a.sync.handler.Effects, t)
	a.sync.handler.Saw = t.saw
	return nil
}

// buildVerity makes our own door to Verity. It is there in every process that
// works, whether or not the gateway is served by it.
func (a *App) buildVerity() error {
	door, err := verity.New(verity.Config{
		BaseURL: a.config.Verity.BaseURL, Mode: verity.Off, Gate: a.consent.gate, APIKey: a.config.Verity.APIKey,
		Transport: a.toVerity(), Timeout: a.config.Verity.Timeout, Observer: gatewayObserver{a.metrics}, Clock: a.clock, Log: a.log,
	})
	if err != nil {
		return Problems{{"VERITY_BASE_URL", err.Error()}}
	}
	a.verity = door.Client(a.innerDoor())
	return nil
}

// textingRoutes lists the routes of the senders of texts, of broadcasts and of
// GHL's agents.
func (a *App) textingRoutes(fromGHL ghl.Decoder, agents func(http.Header, []byte) (string, error)) ([]inbox.Route, error) {
	c, t := a.config.Texting, a.texts
	base := a.config.BaseURL
	if base == "" {
		base = "http://" + a.config.WebAddress()
	}
	twilio, err := texting.NewTwilio(base, c.TwilioTokens, t.texting)
	if err != nil {
		return nil, Problems{{"BASE_URL", err.Error()}}
	}
	telnyx, err := texting.NewTelnyx(c.TelnyxKeys, a.clock, t.texting)
	if err != nil {
		return nil, Problems{{"TEXTING_TELNYX_PUBLIC_KEYS", err.Error()}}
	}
	standard, err := texting.NewStandard(c.StandardSecrets, a.clock, t.texting)
	if err != nil {
		return nil, Problems{{"TEXTING_STANDARD_SECRETS", err.Error()}}
	}
	verityTexts := texting.NewDF(a.config.Verity.WebhookSecret, t.texting)
	broadcasts := texting.NewBroadcast(a.config.Verity.WebhookSecret)
	text := func(name string) inbox.Route {
		return inbox.Route{Name: name, Source: df.SourceTexting, Paths: []string{"/api/webhooks/" + name},
			WhenDown: inbox.Answer503}
	}
	df1, tw, tx, st := text("texting"), text("texting/twilio"), text("texting/telnyx"), text("texting/standard")
	df1.Verify, df1.Decode = verityTexts.Verify, verityTexts.Decode
	tw.VerifyTarget, tw.Decode = twilio.VerifyRequest, twilio.Decode
	tx.Verify, tx.Decode = telnyx.Verify, telnyx.Decode
	st.Verify, st.DecodeWithHeader = standard.Verify, standard.DecodeRequest
	return []inbox.Route{df1, tw, tx, st,
		{
			Name: "broadcast", Source: df.SourceBroadcast, Paths: []string{"/api/webhooks/broadcast"},
			Verify: broadcasts.Verify, Decode: broadcasts.Decode, WhenDown: inbox.Answer503,
		},
		{
			AlwaysProven: true, Name: routeDelivery, Source: df.SourceGHL, Paths: []string{"/api/webhooks/" + routeDelivery},
			Verify: agents, Decode: onMessage(fromGHL), WhenDown: inbox.Answer429,
		},
	}, nil
}

const routeDelivery = "ghl/provider-delivery"

// onMessage makes a delivery of GHL's be the same one by its message: whatever
// else GHL says, a message is sent once.
func onMessage(from ghl.Decoder) func([]byte) df.Notice {
	return func(raw []byte) df.Notice {
		n := from.DecodeDelivery(raw)
		if n.EntityID != "" {
			n.DeliveryID = "delivery:" + n.EntityID
		}
		return n
	}
}

// hear keeps what the deliveries of a batch say about consent, in the transaction
// that stores them and before anything else is done about them. They are heard
// together, so that locks are taken in one order however the batches are made up.
func (t *texts) hear(ctx context.Context, tx store.Tx, fresh []df.Event) error {
	var all []consent.Heard
	for _, e := range fresh {
		if heard, ok := t.heard(e); ok {
			all = append(all, heard)
		}
	}
	if len(all) == 0 {
		return nil
	}
	_, err := t.recorder.Hear(ctx, tx, all)
	return err
}

// heard is a delivery as far as consent goes.
func (t *texts) heard(e df.Event) (consent.Heard, bool) {
	h := consent.Heard{Source: e.Source, EventID: e.ID, Notice: e.Notice, HeardAt: e.ReceivedAt, PersonID: e.PersonID}
	switch e.Source {
	case df.SourceTexting:
		return t.heardText(e, h)
	case df.SourceAloware:
		if e.Notice.Kind != df.KindMessage && e.Notice.Kind != df.KindMessageStatus {
			return h, false
		}
		said, ok := t.aloware.Communication(e.Raw)
		if !ok || said.Kind != df.KindMessage || !said.Directed {
			return h, false
		}
		if said.Outbound {
			return refusedBy(h, said)
		}
		h.Text, h.MessageID, h.Notice.Phone, h.Notice.OccurredAt = said.Text, said.ID, said.Contact, said.StartedAt
		return h, h.Text != "" && h.Notice.Phone != ""
	case df.SourceGHL:
		if e.Notice.Kind != df.KindMessage {
			return h, false
		}
		said := t.ghl.Said(e.Raw)
		ours := said.ProviderID != "" && said.ProviderID == t.provider // what we logged comes back
		if !said.Text || said.Outbound || ours {
			return h, false
		}
		h.Text, h.MessageID = said.Body, e.Notice.EntityID
		return h, h.Text != "" && h.Notice.Phone != ""
	}
	return h, false
}

// refusedBy is Aloware's refusal of a text, if it is about consent: the person is
// do-not-call there, or has opted out.
func refusedBy(h consent.Heard, said aloware.Communication) (consent.Heard, bool) {
	unsent := said.Delivery == "failed" || said.Delivery == "undelivered" || said.Ending == "invalid" || said.Ending == "failed"
	if !unsent || said.Rejection != aloware.RejectedDNC && said.Rejection != aloware.RejectedOptOut {
		return h, false
	}
	h.Carrier, h.Code, h.MessageID = consent.Stop, said.Rejection, said.ID
	h.Notice.Phone, h.Notice.OccurredAt = said.Contact, said.StartedAt
	return h, h.Notice.Phone != ""
}

func (t *texts) heardText(e df.Event, h consent.Heard) (consent.Heard, bool) {
	provider, _ := texting.ProviderOf(e.Route)
	m, reason := t.texting.DecodeMessage(provider, e.Raw, e.Headers)
	phone, _ := m.Customer()
	h.Notice.Phone, h.Notice.OccurredAt, h.MessageID = phone, m.OccurredAt, m.MessageID
	switch {
	case phone == "" || reason != "" && m.OptOut == "":
		return h, false
	case m.OptOut != "":
		h.Carrier = map[texting.OptOutType]consent.Kind{texting.Stop: consent.Stop, texting.Start: consent.Start, texting.Help: consent.Help}[m.OptOut]
		h.Text = m.Body
		return h, true
	case m.Direction == texting.Outbound && texting.RefusalMeansOptOut(provider, m.ErrorCode):
		h.Carrier, h.Code = consent.Stop, m.ErrorCode
		return h, true
	}
	h.Text = m.Body
	return h, m.Direction == texting.Inbound && h.Text != ""
}

// accepting is the store that does along with a delivery what must take effect
// with it, whether it comes from its sender or back from a file.
type accepting struct {
	*store.Store
	app *App
}

// Accept implements inbox.Accepter.
func (w accepting) Accept(ctx context.Context, deliveries []store.Delivery, now time.Time) ([]store.Accepted, error) {
	return w.AcceptWith(ctx, deliveries, now, func(ctx context.Context, tx store.Tx, fresh []df.Event) error {
		if err := w.app.forward(ctx, tx, fresh); err != nil {
			return err
		}
		return w.app.texts.hear(ctx, tx, fresh) // the last that takes locks
	})
}

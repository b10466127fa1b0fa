package ghl

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Agents translates between GHL's users and the agent keys of agent_directory.
// The boolean is false for one that the directory does not have.
type Agents interface {
	AgentKeyByGHLUser(ctx context.Context, userID string) (string, bool, error)
	GHLUserByAgentKey(ctx context.Context, agentKey string) (string, bool, error)
}

// SideOptions configure a Side. Client and Agents are required.
type SideOptions struct {
	Client *Client
	Agents Agents
	// CustomFields maps our keys of custom fields to GHL's field ids, keys or
	// names.
	CustomFields map[string]string
	// AgentField is the custom field that names a contact's agent. It is read
	// and never written, and need not exist.
	AgentField string
	Clock      df.Clock // time.Now when nil
	Log        *slog.Logger
}

// Side is GHL as one of the sides that converge. Contacts are found by id. Their
// values are normalised the same way when read, written and compared. There is
// no Retire: a contact that disappears elsewhere is not deleted in GHL.
type Side struct {
	client *Client
	agents Agents
	custom *customMap
	log    *slog.Logger
}

// NewSide returns GHL as a side.
func NewSide(options SideOptions) *Side {
	if options.Clock == nil {
		options.Clock = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	names := make(map[df.Field]string, len(options.CustomFields))
	for key, name := range options.CustomFields {
		names[df.CustomField(key)] = name
	}
	custom := &customMap{client: options.Client, names: names, clock: options.Clock, log: options.Log}
	if field := df.CustomField(options.AgentField); options.AgentField != "" && names[field] == "" {
		names[field], custom.optional = options.AgentField, field
	}
	return &Side{client: options.Client, agents: options.Agents, log: options.Log, custom: custom}
}

// Name returns df.SideGHL.
func (s *Side) Name() df.Side { return df.SideGHL }

// Holds reports whether GHL shows the field: all built-in ones and the custom
// ones that are configured.
func (s *Side) Holds(field df.Field) bool {
	if _, custom := field.Custom(); custom {
		_, mapped := s.custom.names[field]
		return mapped && field != s.custom.optional
	}
	_, builtIn := contactKeys[field]
	return builtIn || field == df.Owner
}

// Writable reports whether Write can change the field. GHL takes company name
// and lead source when a contact is created, and we write neither afterwards.
func (s *Side) Writable(field df.Field) bool {
	return s.Holds(field) && field != df.Company && field != df.LeadSource
}

// CanRemoveTags reports true: GHL has an endpoint for it.
func (s *Side) CanRemoveTags() bool { return true }

// Read returns the contact as GHL holds it now. What GHL leaves out of it is
// known to be empty; what it shows in a form that we cannot read (a phone that
// is no number, an owner that the directory does not have) is unknown. It
// returns code df.CodeNotFound when the contact is gone, also when GHL answers
// with another contact instead.
func (s *Side) Read(ctx context.Context, ref df.Ref) (df.Contact, error) {
	if ref.ID == "" {
		return df.Contact{}, failure("get contact", df.Refused, df.CodeInvalid, "GHL finds contacts by id, and there is none")
	}
	contact, err := s.client.GetContact(ctx, ref.ID)
	if err != nil {
		return df.Contact{}, err
	}
	if contact.ID != ref.ID {
		return df.Contact{}, failure("get contact", df.Refused, df.CodeNotFound, "GHL answers with another contact")
	}
	return s.known(ctx, contact, true)
}

// known adds to a contact what needs looking up: its owner and custom fields.
func (s *Side) known(ctx context.Context, contact Contact, whole bool) (df.Contact, error) {
	known := contact.contact(whole)
	if err := s.addOwner(ctx, contact, whole, &known); err != nil {
		return df.Contact{}, err
	}
	definitions, err := s.custom.resolve(ctx)
	if err != nil {
		return df.Contact{}, err
	}
	for field, definition := range definitions {
		value, shown := contact.Custom[definition.ID]
		if !shown && !whole {
			continue
		}
		if text, ok := definition.read(value); ok {
			known.Fields[field] = text
		}
	}
	return known, nil
}

func (s *Side) addOwner(ctx context.Context, contact Contact, whole bool, known *df.Contact) error {
	switch {
	case contact.AssignedTo == nil && !whole:
		return nil
	case contact.AssignedTo == nil || *contact.AssignedTo == "":
		known.Fields[df.Owner] = ""
		return nil
	}
	key, ok, err := s.agents.AgentKeyByGHLUser(ctx, *contact.AssignedTo)
	if err != nil {
		return fmt.Errorf("look up the owner of a GHL contact: %w", err)
	}
	if ok {
		known.Fields[df.Owner] = key
	}
	return nil
}

// Find returns the contacts that have exactly this phone or this e-mail, each
// read whole. GHL is asked by either alone, for asked by both it answers with
// one contact only. Its search index, which lags behind writes, is not used. Any
// failure to ask is an error, never "none": that is how an outage would create
// duplicates. A number that GHL holds as an additional one is not found.
func (s *Side) Find(ctx context.Context, phone df.Phone, email string) ([]df.Contact, error) {
	email, _ = normalise(df.Email, email, "")
	var found []df.Contact
	if phone != "" {
		hit, err := s.findOne(ctx, phone, "")
		if err != nil {
			return nil, err
		}
		if hit.ID != "" && hit.Fields[df.PhoneNumber] == string(phone) {
			found = append(found, hit)
		}
	}
	if email != "" {
		hit, err := s.findOne(ctx, "", email)
		if err != nil {
			return nil, err
		}
		known := len(found) > 0 && found[0].ID == hit.ID
		if hit.ID != "" && !known && hit.Fields[df.Email] == email {
			found = append(found, hit)
		}
	}
	return found, nil
}

// findOne returns the contact that GHL names as the duplicate, read whole, and
// the zero contact when there is none or it has just gone.
func (s *Side) findOne(ctx context.Context, phone df.Phone, email string) (df.Contact, error) {
	hit, err := s.client.FindDuplicate(ctx, phone, email)
	if err != nil || hit == nil {
		return df.Contact{}, err
	}
	contact, err := s.Read(ctx, df.Ref{ID: hit.ID})
	if df.IsCode(err, df.CodeNotFound) {
		return df.Contact{}, nil
	}
	return contact, err
}

// Create creates the contact and returns it as GHL then shows it, or as far as
// its answer does when it cannot be read just then. It returns code
// df.CodeDuplicate, with the id of the contact that is there, when the phone or
// e-mail is taken. After df.Unclear, Find tells whether it was done; so ends a
// creation that was answered with a contact that is not there.
func (s *Side) Create(ctx context.Context, contact df.Contact) (df.Contact, error) {
	set := make(map[df.Field]string, len(contact.Fields))
	for field, value := range contact.Fields {
		if s.Holds(field) && strings.TrimSpace(value) != "" {
			set[field] = value
		}
	}
	values, err := s.values(ctx, set)
	if err != nil {
		return df.Contact{}, err
	}
	draft := values.draft()
	draft.DNDSettings = blocks(contact)
	created, err := s.client.CreateContact(ctx, draft, contact.Tags)
	if err != nil {
		return df.Contact{}, err
	}
	known, err := s.Read(ctx, df.Ref{ID: created.ID})
	switch {
	case df.IsCode(err, df.CodeNotFound):
		return df.Contact{}, failure("create contact", df.Unclear, df.CodeNotWritten, "GHL answered with a contact that is not there")
	case err != nil:
		// The contact is there; an error would have it created again.
		s.log.LogAttrs(ctx, slog.LevelWarn, "a created contact cannot be read in full", slog.Any("error", err))
		return created.contact(false), nil
	}
	return known, nil
}

// blocks returns the channels that a new contact must not be reached on. Someone
// who opted out elsewhere is never reachable here, not even for a moment.
func blocks(contact df.Contact) DNDSettings {
	settings := DNDSettings{}
	for channel, blocked := range map[string]*bool{ChannelCall: contact.DoNotCall, ChannelSMS: contact.DoNotText} {
		if blocked != nil && *blocked {
			settings[channel] = DNDSetting{Status: DNDActive, Message: "opted out before the contact was created"}
		}
	}
	return settings
}

// Write changes what the patch names and nothing else: fields in one update, tags
// by GHL's own operations for adding and removing. Fields that are not Writable,
// and values that GHL has no form for (a country that is no ISO code, an agent
// without a user), are left out and logged by name; reading back shows them
// unchanged. seen is the contact as last read; it gives the spelling of tags to
// remove. Each step may be repeated.
func (s *Side) Write(ctx context.Context, ref df.Ref, seen df.Contact, patch df.Patch) error {
	set := make(map[df.Field]string, len(patch.Set))
	for field, value := range patch.Set {
		if s.Writable(field) {
			set[field] = value
		}
	}
	if ref.ID == "" {
		return failure("update contact", df.Refused, df.CodeInvalid, "GHL finds contacts by id, and there is none")
	}
	values, err := s.values(ctx, set)
	if err != nil {
		return err
	}
	var refused error
	if !values.empty() {
		err := s.client.UpdateContact(ctx, ref.ID, values.update())
		if outcome, _ := df.OutcomeOf(err); err != nil && outcome != df.Refused || df.IsCode(err, df.CodeNotFound) {
			return err
		}
		refused = err // the tags are another matter
	}
	err = s.client.AddTags(ctx, ref.ID, patch.AddTags)
	if err == nil {
		err = s.client.RemoveTags(ctx, ref.ID, spelled(patch.RemoveTags, seen.Tags))
	}
	if outcome, _ := df.OutcomeOf(err); err == nil || outcome == df.Refused && refused != nil {
		return refused
	}
	return err
}

// spelled returns the tags as the contact spells them.
func spelled(tags, seen []string) []string {
	spelling := make(map[string]string, len(seen))
	for _, tag := range seen {
		spelling[df.TagKey(tag)] = tag
	}
	out := make([]string, 0, len(tags))
	for _, tag := range tags {
		out = append(out, firstText(spelling[df.TagKey(tag)], tag))
	}
	return out
}

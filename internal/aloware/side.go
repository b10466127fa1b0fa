package aloware

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// lookupLag is how long to leave Aloware before looking again for a contact that
// it just took.
const lookupLag = 5 * time.Second

// Agents translates owners: Aloware names a user, we name an agent.
type Agents interface {
	AgentKeyByAlowareUser(ctx context.Context, id string) (key string, found bool, err error)
	AlowareUserByAgentKey(ctx context.Context, key string) (id string, found bool, err error)
}

// Side is Aloware as one of the sides between which contacts converge.
type Side struct {
	client *Client
	clock  df.Clock
	region string
	agents Agents
	custom Custom
}

// SideOptions configure a Side.
type SideOptions struct {
	Client *Client
	Clock  df.Clock // time.Now when nil
	Region string   // ISO 3166 alpha-2, for numbers without a country code; "US" when empty
	Agents Agents   // owners are unknown and cannot be written when nil
	Custom Custom   // custom fields and the flat keys under which Aloware has them
}

// NewSide returns Aloware's side.
func NewSide(options SideOptions) *Side {
	if options.Clock == nil {
		options.Clock = time.Now
	}
	return &Side{client: options.Client, clock: options.Clock, region: options.Region,
		agents: options.Agents, custom: options.Custom}
}

// Name returns df.SideAloware.
func (s *Side) Name() df.Side { return df.SideAloware }

// Holds reports whether Aloware has a place for the field. Address, zip code and
// website are such, though its lookup does not show them.
func (s *Side) Holds(field df.Field) bool {
	if field == df.Owner {
		return s.agents != nil
	}
	return s.custom.name(field) != ""
}

// Writable reports whether a contact that exists takes the field. A lead source
// is written on creation only.
func (s *Side) Writable(field df.Field) bool {
	switch field {
	case df.LeadSource:
		return false
	case df.Owner:
		return s.agents != nil
	default:
		return s.takes(field)
	}
}

// takes reports whether POST /forms has a name for the field.
func (s *Side) takes(field df.Field) bool {
	if _, custom := field.Custom(); custom {
		return s.custom[field] == "csf1" || s.custom[field] == "csf2"
	}
	return wire[field] != ""
}

// CanRemoveTags reports false: POST /forms adds tags, and no call removes any.
func (s *Side) CanRemoveTags() bool { return false }

// Read returns the contact under the reference's phone number. When the id is
// known and another contact answers, it returns df.CodeNotFound: writing to
// whoever has the number now would mix two people.
func (s *Side) Read(ctx context.Context, ref df.Ref) (df.Contact, error) {
	contact, err := s.byPhone(ctx, ref.Phone)
	if err != nil {
		return df.Contact{}, err
	}
	if ref.ID != "" && contact.ID != ref.ID {
		return df.Contact{}, s.client.refuse(lookupEndpoint, df.CodeNotFound, "another contact answers under that phone number")
	}
	return contact, nil
}

// Find returns the contact that has the phone number, as a list of one or none:
// at Aloware a number is one contact. It cannot be asked by e-mail, so without a
// number nobody is found. A failed search is an error, never an empty answer.
func (s *Side) Find(ctx context.Context, phone df.Phone, _ string) ([]df.Contact, error) {
	if phone == "" {
		return nil, nil
	}
	contact, err := s.byPhone(ctx, phone)
	if df.IsCode(err, df.CodeNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []df.Contact{contact}, nil
}

// byPhone returns the contact that has the phone number. Only Aloware's word
// that there is none is df.CodeNotFound.
func (s *Side) byPhone(ctx context.Context, phone df.Phone) (df.Contact, error) {
	if phone == "" {
		return df.Contact{}, s.client.refuse(lookupEndpoint, df.CodeNotFound, "Aloware finds contacts by phone number only")
	}
	found, err := s.client.lookup(ctx, phone)
	if err != nil {
		return df.Contact{}, err
	}
	contact := s.custom.contact(found, s.region)
	if err := s.readOwner(ctx, &contact, found); err != nil {
		return df.Contact{}, err
	}
	return contact, nil
}

// readOwner fills in the owner. A user that no agent stands for is unknown, not
// nobody: otherwise the other side would be told to unassign.
func (s *Side) readOwner(ctx context.Context, contact *df.Contact, found record) error {
	if _, shown := found["userid"]; !shown || s.agents == nil {
		return nil
	}
	user := found.text("userid")
	if user == "" || user == "0" || user == "-1" { // -1 is the company
		contact.Fields[df.Owner] = ""
		return nil
	}
	key, known, err := s.agents.AgentKeyByAlowareUser(ctx, user)
	if known {
		contact.Fields[df.Owner] = key
	}
	return err
}

// Create makes a contact and returns it as Aloware then shows it. It returns
// df.CodeDuplicate with the contact's id when there is one already, and asks to
// be retried when Aloware took the contact and does not show it yet. The id is
// always Aloware's own. What Aloware has no place for (an owner without a user
// there, tags with commas) is left out: what is returned shows it.
func (s *Side) Create(ctx context.Context, contact df.Contact) (df.Contact, error) {
	phone, err := s.phoneOf(contact)
	if err != nil {
		return df.Contact{}, err
	}
	fields, _, err := s.form(ctx, df.Patch{Set: contact.Fields, AddTags: contact.Tags})
	if err != nil {
		return df.Contact{}, err
	}
	dropEmpty(fields)
	if contact.DoNotCall != nil && *contact.DoNotCall {
		fields["is_dnc"] = 1
	}
	if _, err := s.client.Upsert(ctx, phone, fields); df.IsCode(err, df.CodeDuplicate) {
		return df.Contact{}, s.duplicate(ctx, phone, err)
	} else if err != nil {
		return df.Contact{}, err
	}
	return s.shown(ctx, phone)
}

// shown looks a contact up that was written a moment ago.
func (s *Side) shown(ctx context.Context, phone df.Phone) (df.Contact, error) {
	contact, err := s.byPhone(ctx, phone)
	if !df.IsCode(err, df.CodeNotFound) {
		return contact, err
	}
	return df.Contact{}, &df.CallError{Upstream: upstream, Operation: formsEndpoint.operation, Outcome: df.RetryLater,
		RetryAt: s.clock().Add(lookupLag), Code: df.CodeNotWritten, Message: "Aloware took the contact but does not show it yet"}
}

// duplicate adds the id of the contact that is there, when it can be learnt.
func (s *Side) duplicate(ctx context.Context, phone df.Phone, err error) error {
	there, lookupErr := s.byPhone(ctx, phone)
	if lookupErr != nil {
		return lookupErr
	}
	return recode(err, func(failure *df.CallError) { failure.ContactID = there.ID })
}

// Write sends what differs and nothing else. A patch that changes the phone
// number goes through Rekey, and ends in df.CodeRekeyed when the person has another
// id afterwards. What Aloware has no place for is named in a df.CodeNotWritten
// error after all the rest was written.
func (s *Side) Write(ctx context.Context, ref df.Ref, seen df.Contact, patch df.Patch) error {
	if _, moves := patch.Set[df.PhoneNumber]; moves {
		contact, err := s.Rekey(ctx, ref, seen, patch)
		if contact.ID != "" && ref.ID != "" && contact.ID != ref.ID {
			return &df.CallError{Upstream: upstream, Operation: "change phone number", Outcome: df.Refused,
				Code: df.CodeRekeyed, ContactID: contact.ID, Message: "the new number is another contact at Aloware"}
		}
		return err
	}
	fields, left, err := s.form(ctx, patch)
	if err != nil {
		return err
	}
	if _, given := fields[wire[df.LeadSource]]; given {
		delete(fields, wire[df.LeadSource])
		left = append(left, string(df.LeadSource))
	}
	if len(fields) > 0 {
		if _, err := s.client.Upsert(ctx, ref.Phone, fields); err != nil {
			return err
		}
	}
	return s.notWritten(left)
}

func (s *Side) notWritten(left []string) error {
	if len(left) == 0 {
		return nil
	}
	return s.client.refuse(formsEndpoint, df.CodeNotWritten, "Aloware has no place for: "+strings.Join(left, ", "))
}

// form translates a patch to POST /forms' names, without the phone number, and
// names what it has no place for.
func (s *Side) form(ctx context.Context, patch df.Patch) (fields map[string]any, left []string, err error) {
	fields = map[string]any{}
	for _, field := range slices.Sorted(maps.Keys(patch.Set)) {
		value := patch.Set[field]
		switch {
		case field == df.PhoneNumber:
		case field == df.Owner:
			written, err := s.writeOwner(ctx, fields, value)
			if err != nil {
				return nil, nil, err
			}
			if !written {
				left = append(left, string(field))
			}
		case s.takes(field):
			fields[s.custom.name(field)] = outgoing(field, value)
		default:
			left = append(left, string(field))
		}
	}
	tags, odd := writableTags(patch.AddTags)
	if len(tags) > 0 {
		fields["tags"] = strings.Join(tags, ",")
	}
	if odd || len(patch.RemoveTags) > 0 {
		left = append(left, "tags")
	}
	return fields, left, nil
}

func (s *Side) writeOwner(ctx context.Context, fields map[string]any, key string) (bool, error) {
	if s.agents == nil || key == "" {
		return false, nil // POST /forms cannot take a contact from its owner
	}
	user, found, err := s.agents.AlowareUserByAgentKey(ctx, key)
	if err != nil || !found || user == "" {
		return false, err
	}
	fields["user_id"] = id(user)
	return true, nil
}

func outgoing(field df.Field, value string) string {
	if field == df.DateOfBirth {
		return isoDate(value)
	}
	return value
}

// writableTags leaves out tags with a comma, which would arrive as two.
func writableTags(tags []string) (writable []string, odd bool) {
	for _, tag := range df.Tags(tags...) {
		if strings.Contains(tag, ",") {
			odd = true
			continue
		}
		writable = append(writable, tag)
	}
	return writable, odd
}

func dropEmpty(fields map[string]any) {
	maps.DeleteFunc(fields, func(_ string, value any) bool { return value == "" })
}

func (s *Side) phoneOf(contact df.Contact) (df.Phone, error) {
	phone, err := df.ParsePhone(contact.Get(df.PhoneNumber), s.region)
	if err != nil {
		return "", s.client.refuse(formsEndpoint, df.CodeInvalid, "Aloware knows contacts by phone number, and there is none that can be dialled")
	}
	return phone, nil
}

package ghl

import (
	"context"
	"net/http"
	"net/url"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

// NewContact is what the create operation takes. Empty properties are left out;
// gender and name exist too, and nothing of ours fills them.
type NewContact struct {
	FirstName    string        `json:"firstName,omitempty"`
	LastName     string        `json:"lastName,omitempty"`
	Email        string        `json:"email,omitempty"`
	Phone        string        `json:"phone,omitempty"`
	Address1     string        `json:"address1,omitempty"`
	City         string        `json:"city,omitempty"`
	State        string        `json:"state,omitempty"`
	PostalCode   string        `json:"postalCode,omitempty"`
	Country      string        `json:"country,omitempty"`
	Website      string        `json:"website,omitempty"`
	DateOfBirth  string        `json:"dateOfBirth,omitempty"`
	Timezone     string        `json:"timezone,omitempty"`
	CompanyName  string        `json:"companyName,omitempty"`
	Source       string        `json:"source,omitempty"`
	AssignedTo   string        `json:"assignedTo,omitempty"`
	DND          *bool         `json:"dnd,omitempty"`
	DNDSettings  DNDSettings   `json:"dndSettings,omitempty"`
	CustomFields []CustomValue `json:"customFields,omitempty"`
}

// ContactUpdate is what the update operation takes: no location, gender or
// company name, which its validator would refuse, and no tags, which would
// replace all tags of the contact.
type ContactUpdate struct {
	FirstName    Value         `json:"firstName,omitzero"`
	LastName     Value         `json:"lastName,omitzero"`
	Email        Value         `json:"email,omitzero"`
	Phone        Value         `json:"phone,omitzero"`
	Address1     Value         `json:"address1,omitzero"`
	City         Value         `json:"city,omitzero"`
	State        Value         `json:"state,omitzero"`
	PostalCode   Text          `json:"postalCode,omitzero"`
	Country      Text          `json:"country,omitzero"`
	Website      Value         `json:"website,omitzero"`
	DateOfBirth  Value         `json:"dateOfBirth,omitzero"`
	Timezone     Value         `json:"timezone,omitzero"`
	AssignedTo   Value         `json:"assignedTo,omitzero"`
	DND          *bool         `json:"dnd,omitempty"`
	DNDSettings  DNDSettings   `json:"dndSettings,omitempty"`
	CustomFields []CustomValue `json:"customFields,omitempty"`
}

// DNDSettings maps channels to what is written about them.
type DNDSettings map[string]DNDSetting

// DNDSetting is what is written about one channel.
type DNDSetting struct {
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
	Code    string `json:"code,omitempty"`
}

// CustomValue writes one custom field. It is read back under "value".
type CustomValue struct {
	ID    string `json:"id"`
	Value any    `json:"field_value"` // version 3 calls it fieldValue and still takes this
}

type createContact struct {
	LocationID string `json:"locationId"`
	NewContact
	Tags []string `json:"tags,omitempty"`
}

type upsertContact struct {
	LocationID string `json:"locationId"`
	NewContact
}

// GetContact reads a contact whole. It returns code df.CodeNotFound when there
// is none, or when it is marked as deleted.
func (c *Client) GetContact(ctx context.Context, id string) (Contact, error) {
	r := request{operation: "get contact", family: FamilyContacts, method: http.MethodGet, path: "/contacts/" + segment(id)}
	o, err := c.fetch(ctx, r, "contact")
	if err != nil {
		return Contact{}, err
	}
	contact := readContact(o, c.region)
	switch {
	case contact.Deleted:
		return Contact{}, failure(r.operation, df.Refused, df.CodeNotFound, "it is deleted")
	case contact.LocationID != "" && contact.LocationID != c.location:
		return Contact{}, failure(r.operation, df.Refused, CodeForbidden, "it belongs to another location")
	}
	return contact, nil
}

// CreateContact creates a contact with its first tags and returns it as GHL
// shows it. It returns code df.CodeDuplicate, with the id of the contact that is
// there, when the location has one with that phone or e-mail.
func (c *Client) CreateContact(ctx context.Context, fields NewContact, tags []string) (Contact, error) {
	r := request{operation: "create contact", family: FamilyContacts, method: http.MethodPost, path: "/contacts/",
		body: createContact{LocationID: c.location, NewContact: c.spell(fields), Tags: tags}}
	o, err := c.fetch(ctx, r, "contact")
	if err != nil {
		return Contact{}, err
	}
	return readContact(o, c.region), nil
}

// UpsertContact creates a contact, or updates the one that GHL matches by phone
// or e-mail in the order of the location's settings, and reports whether it is
// new. When phone and e-mail belong to two contacts, GHL updates one and silently
// drops the other's property: then the contact is returned with an error of code
// df.CodeNotWritten. A contact whose id is known is updated, never upserted: an
// upsert can push out its primary e-mail.
func (c *Client) UpsertContact(ctx context.Context, fields NewContact) (contact Contact, created bool, err error) {
	r := request{operation: "upsert contact", family: FamilyContacts, method: http.MethodPost, path: "/contacts/upsert",
		repeatable: true, body: upsertContact{LocationID: c.location, NewContact: c.spell(fields)}}
	o, err := c.do(ctx, r)
	if err != nil {
		return Contact{}, false, err
	}
	found, err := need(r, o, "contact")
	if err != nil {
		return Contact{}, false, err
	}
	contact = readContact(found, c.region)
	created, _ = o.flag("new")
	for field, sent := range map[df.Field]string{df.PhoneNumber: fields.Phone, df.Email: fields.Email} {
		want, ok := normalise(field, sent, c.region)
		if ok && want != "" && contact.Fields[field] != want {
			e := failure(r.operation, df.Refused, df.CodeNotWritten, "GHL dropped "+string(field)+", which another contact has")
			e.ContactID = contact.ID
			return contact, created, e
		}
	}
	return contact, created, nil
}

// UpdateContact writes the given properties and leaves the others alone. A 2xx
// is a claim; who needs to know reads the contact again. It returns code
// df.CodeDuplicate when the new phone or e-mail is another contact's.
func (c *Client) UpdateContact(ctx context.Context, id string, update ContactUpdate) error {
	update.DNDSettings = c.spellChannels(update.DNDSettings)
	_, err := c.do(ctx, request{operation: "update contact", family: FamilyContacts, method: http.MethodPut,
		path: "/contacts/" + segment(id), repeatable: true, body: update})
	return err
}

// DeleteContact deletes a contact. It returns code df.CodeNotFound when it is gone.
func (c *Client) DeleteContact(ctx context.Context, id string) error {
	_, err := c.do(ctx, request{operation: "delete contact", family: FamilyContacts, method: http.MethodDelete,
		path: "/contacts/" + segment(id), repeatable: true})
	return err
}

type tagsBody struct {
	Tags []string `json:"tags"`
}

// AddTags adds tags to a contact and leaves the others alone.
func (c *Client) AddTags(ctx context.Context, id string, tags []string) error {
	return c.changeTags(ctx, "add tags", http.MethodPost, id, tags)
}

// RemoveTags removes tags from a contact and leaves the others alone.
func (c *Client) RemoveTags(ctx context.Context, id string, tags []string) error {
	return c.changeTags(ctx, "remove tags", http.MethodDelete, id, tags)
}

func (c *Client) changeTags(ctx context.Context, operation, method, id string, tags []string) error {
	if len(tags) == 0 {
		return nil
	}
	_, err := c.do(ctx, request{operation: operation, family: FamilyContacts, method: method,
		path: "/contacts/" + segment(id) + "/tags", repeatable: true, body: tagsBody{Tags: tags}})
	return err
}

// FindDuplicate asks GHL which contact a phone or an e-mail belongs to, by the
// location's own rules, and returns nil when there is none. Unlike the search it
// has no lag. The contact may be shown in part, and may match by GHL's rules
// without being equal: read it again and compare.
func (c *Client) FindDuplicate(ctx context.Context, phone df.Phone, email string) (*Contact, error) {
	query := url.Values{"locationId": {c.location}}
	if phone != "" {
		query.Set("number", string(phone))
	}
	if email != "" {
		query.Set("email", email)
	}
	r := request{operation: "find duplicate contact", family: FamilyContacts, method: http.MethodGet,
		path: "/contacts/search/duplicate", query: query}
	o, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	if found, shown := o["contact"]; !shown && o["traceId"] == nil {
		return nil, failure(r.operation, df.RetryLater, df.CodeGarbled, "the answer says neither a contact nor none")
	} else if found == nil {
		return nil, nil //nolint:nilnil // none is an answer
	}
	o, err = need(r, o, "contact")
	if err != nil {
		return nil, err
	}
	contact := readContact(o, c.region)
	return &contact, nil
}

// SetChannel turns do-not-disturb of one channel on or off, with the reason that
// GHL shows beside it. Whether GHL merges or replaces the settings is not
// documented, so all channels are written as they were read. A channel that is
// blocked permanently stays as it is; to turn it off is df.CodeNotWritten.
func (c *Client) SetChannel(ctx context.Context, id, channel string, blocked bool, reason string) error {
	contact, err := c.GetContact(ctx, id)
	if err != nil {
		return err
	}
	status := contact.Channels[channel].Status
	switch {
	case status == DNDPermanent && !blocked:
		return failure("set do-not-disturb", df.Refused, df.CodeNotWritten, "GHL has the channel blocked permanently")
	case status == DNDPermanent, status == DNDActive && blocked:
		return nil
	}
	settings := DNDSettings{}
	for _, known := range channelNames {
		if was := contact.Channels[known.dated]; was.Status == DNDActive || was.Status == DNDInactive || was.Status == DNDPermanent {
			settings[known.dated] = DNDSetting(was)
		}
	}
	settings[channel] = DNDSetting{Status: DNDInactive, Message: reason}
	if blocked {
		settings[channel] = DNDSetting{Status: DNDActive, Message: reason}
	}
	_, err = c.do(ctx, request{operation: "set do-not-disturb", family: FamilyContacts, method: http.MethodPut,
		path: "/contacts/" + segment(id), repeatable: true, class: egress.Reserved,
		body: ContactUpdate{DNDSettings: c.spellChannels(settings)}})
	return err
}

func (c *Client) spell(fields NewContact) NewContact {
	fields.DNDSettings = c.spellChannels(fields.DNDSettings)
	return fields
}

// spellChannels spells the channels as the version in use does.
func (c *Client) spellChannels(settings DNDSettings) DNDSettings {
	if len(settings) == 0 || c.versions[FamilyContacts] != versionThree {
		return settings
	}
	spelled := make(DNDSettings, len(settings))
	for _, known := range channelNames {
		if setting, ok := settings[known.dated]; ok {
			spelled[known.v3] = setting
		}
	}
	return spelled
}

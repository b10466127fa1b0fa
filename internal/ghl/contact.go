package ghl

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/payload"
)

// Contact is a contact as GHL shows it, in an answer or a webhook. Only what was
// shown is in it: a field missing from Fields was not shown, or cannot be read.
type Contact struct {
	ID         string
	LocationID string
	// Fields holds the built-in fields, normalised (see normalise), but not
	// df.Owner: AssignedTo holds GHL's user id, and df.Owner an agent key.
	Fields     map[df.Field]string
	AssignedTo *string // nil when not shown, empty when nobody is assigned
	Tags       []string
	// Custom holds the values of custom fields by field id, as JSON values.
	Custom    map[string]any
	DND       *bool              // the switch for all channels
	Channels  map[string]Channel // by the names of Channels; nil when not shown
	CreatedAt time.Time
	UpdatedAt time.Time // zero in webhooks, which carry no version
	Deleted   bool
	unread    map[df.Field]bool // shown, but not readable
}

// Channel is the do-not-disturb setting of one channel.
type Channel struct {
	Status  string // one of the DND constants, or blank
	Message string
	Code    string
}

// The statuses of a channel. Active means that do-not-disturb is on. Permanent
// means so too, and the account cannot lift it.
const (
	DNDActive    = "active"
	DNDInactive  = "inactive"
	DNDPermanent = "permanent"
)

// The channels that we read and write.
const (
	ChannelCall = "Call"
	ChannelSMS  = "SMS"
)

// channelNames lists the channels that may be written, as the dated API spells
// them, with version 3's spelling. Real payloads also have RCS, which no request
// schema lists.
var channelNames = []struct{ dated, v3 string }{
	{"Call", "call"}, {"Email", "email"}, {"SMS", "sms"}, {"WhatsApp", "whatsApp"}, {"GMB", "gmb"}, {"FB", "fb"},
}

// contactKeys lists the names under which GHL shows each field: the API's first,
// then those of the free workflow webhook.
var contactKeys = map[df.Field][]string{
	df.FirstName:   {"firstName", "first_name"},
	df.LastName:    {"lastName", "last_name"},
	df.Email:       {"email"},
	df.PhoneNumber: {"phone", "phoneNumber", "phone_number"},
	df.Address:     {"address1"},
	df.City:        {"city"},
	df.State:       {"state"},
	df.PostalCode:  {"postalCode", "postal_code"},
	df.Country:     {"country"},
	df.Website:     {"website"},
	df.DateOfBirth: {"dateOfBirth", "date_of_birth"},
	df.Timezone:    {"timezone"},
	df.Company:     {"companyName", "company_name"},
	df.LeadSource:  {"source", "contact_source"},
}

// readContact reads a contact from the object that has its fields.
func readContact(o object, region string) Contact {
	c := Contact{
		ID: o.id("id", "_id"), LocationID: o.id("locationId"),
		Fields: make(map[df.Field]string), unread: make(map[df.Field]bool),
		CreatedAt: o.time("dateAdded"), UpdatedAt: o.time("dateUpdated", "updatedAt"),
	}
	for field, keys := range contactKeys {
		c.readField(field, keys, o, region)
	}
	if value, shown := o["assignedTo"]; shown {
		id := payload.Word(value)
		c.AssignedTo = &id
	}
	if names, shown := o.texts("tags"); shown {
		c.Tags = df.Tags(names...)
	}
	c.readCustom(o)
	c.readDND(o)
	c.Deleted, _ = o.flag("deleted")
	return c
}

func (c *Contact) readField(field df.Field, keys []string, o object, region string) {
	for _, key := range keys {
		value, shown := o[key]
		if !shown {
			continue
		}
		normal, ok := normalise(field, payload.Word(value), region)
		if !ok || !plain(value) {
			c.unread[field] = true
			return
		}
		c.Fields[field] = normal
		return
	}
}

// plain reports whether a value is text, a number or null, which scalar can read.
func plain(value any) bool {
	switch value.(type) {
	case nil, string, json.Number:
		return true
	}
	return false
}

func (c *Contact) readCustom(o object) {
	if _, shown := o["customFields"].([]any); !shown {
		return
	}
	c.Custom = make(map[string]any)
	for _, item := range o.list("customFields") {
		id := item.id("id")
		if id == "" {
			continue
		}
		for _, key := range []string{"value", "fieldValue", "field_value"} {
			if value, shown := item[key]; shown {
				c.Custom[id] = value
				break
			}
		}
	}
}

func (c *Contact) readDND(o object) {
	if on, shown := o.flag("dnd"); shown {
		c.DND = &on
	}
	settings := o.child("dndSettings")
	if settings == nil {
		return
	}
	c.Channels = make(map[string]Channel)
	for name := range settings {
		setting := settings.child(name)
		if setting == nil {
			continue
		}
		c.Channels[channelName(name)] = Channel{
			Status: strings.ToLower(setting.text("status")), Message: setting.text("message"), Code: setting.text("code"),
		}
	}
}

// channelName returns the dated spelling of a channel's name. Version 3 of the
// API writes "sms" where the dated one and webhooks write "SMS".
func channelName(name string) string {
	for _, known := range channelNames {
		if strings.EqualFold(name, known.dated) {
			return known.dated
		}
	}
	return name
}

// blocked says whether the channel may not be used, and nil when the contact
// does not show it. All-channels DND can be on while every channel says inactive.
func (c Contact) blocked(channel string, whole bool) *bool {
	if c.DND != nil && *c.DND {
		return c.DND
	}
	if c.Channels == nil && !whole {
		return nil
	}
	status := c.Channels[channel].Status
	blocked := status == DNDActive || status == DNDPermanent
	return &blocked
}

// contact returns the contact in our vocabulary, without owner and custom
// fields. A whole contact is one that was read by its id: what GHL leaves out
// of it is empty. In a webhook, or a partial answer, it is unknown.
func (c Contact) contact(whole bool) df.Contact {
	known := df.Contact{
		ID: c.ID, Fields: maps.Clone(c.Fields), Tags: slices.Clone(c.Tags), CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
		DoNotCall: c.blocked(ChannelCall, whole), DoNotText: c.blocked(ChannelSMS, whole),
	}
	if known.Fields == nil {
		known.Fields = make(map[df.Field]string)
	}
	if !whole {
		return known
	}
	for field := range contactKeys {
		if !known.Known(field) && !c.unread[field] {
			known.Fields[field] = ""
		}
	}
	if known.Tags == nil {
		known.Tags = []string{}
	}
	return known
}

package df

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Field names one property of a contact that converges. The names are those of
// GHL's API; custom fields are CustomField(key).
type Field string

// The contact fields of the external contract, §6. Owner holds an agent key of
// agent_directory, not the id of a user at either side.
const (
	FirstName   Field = "firstName"
	LastName    Field = "lastName"
	Email       Field = "email"
	PhoneNumber Field = "phone"
	Address     Field = "address1"
	City        Field = "city"
	State       Field = "state"
	PostalCode  Field = "postalCode"
	Country     Field = "country"
	Website     Field = "website"
	DateOfBirth Field = "dateOfBirth"
	Timezone    Field = "timezone"
	Company     Field = "companyName"
	LeadSource  Field = "source"
	Owner       Field = "assignedTo"
)

// Fields lists the built-in fields in a fixed order.
func Fields() []Field {
	return []Field{FirstName, LastName, Email, PhoneNumber, Address, City, State, PostalCode,
		Country, Website, DateOfBirth, Timezone, Company, LeadSource, Owner}
}

const customPrefix = "custom:"

// CustomField returns the field for a custom field that is mapped by configuration.
func CustomField(key string) Field { return Field(customPrefix + key) }

// Custom returns the key of a custom field, and false for a built-in one.
func (f Field) Custom() (string, bool) { return strings.CutPrefix(string(f), customPrefix) }

// Contact is what one side holds about a person. A field that is missing from
// Fields is unknown (that side does not show it); a field that is present and
// empty is known to be empty. Nil Tags means that the side does not show tags.
type Contact struct {
	ID        string
	Fields    map[Field]string
	Tags      []string  // sorted, unique without regard to case
	CreatedAt time.Time // zero when the side does not say
	UpdatedAt time.Time // zero when the side does not say
	DoNotCall *bool     // Aloware is_dnc; GHL Call DND; nil when not shown
	DoNotText *bool     // Aloware is_opted_out; GHL SMS DND; nil when not shown
}

// Get returns the field's value, trimmed of nothing, and "" when unknown.
func (c Contact) Get(f Field) string { return c.Fields[f] }

// Known reports whether the side showed the field at all.
func (c Contact) Known(f Field) bool { _, ok := c.Fields[f]; return ok }

// Phone returns the contact's phone in E.164, or "" when it has none that parses.
func (c Contact) Phone() Phone {
	p, err := ParsePhone(c.Fields[PhoneNumber], "")
	if err != nil {
		return ""
	}
	return p
}

// Clone returns a copy that shares nothing with c.
func (c Contact) Clone() Contact {
	c.Fields = maps.Clone(c.Fields)
	c.Tags = slices.Clone(c.Tags)
	return c
}

// Ref says which contact of a side is meant. Aloware finds contacts by phone
// only, GHL by id only, so both travel together.
type Ref struct {
	ID    string
	Phone Phone
}

// Patch is a partial write: only what differs. A value of "" clears the field.
type Patch struct {
	Set        map[Field]string
	AddTags    []string
	RemoveTags []string
}

// Empty reports whether the patch changes nothing.
func (p Patch) Empty() bool {
	return len(p.Set) == 0 && len(p.AddTags) == 0 && len(p.RemoveTags) == 0
}

// FieldNames lists what the patch changes, sorted, with "tags" for tags. It
// holds names only, so it may be logged.
func (p Patch) FieldNames() []string {
	names := make([]string, 0, len(p.Set)+1)
	for f := range p.Set {
		names = append(names, string(f))
	}
	if len(p.AddTags)+len(p.RemoveTags) > 0 {
		names = append(names, "tags")
	}
	slices.Sort(names)
	return names
}

// Tags returns the given tag names as a sorted set: trimmed, empty ones and the
// original system's SYS: markers left out, compared without regard to case
// (GHL does not document its folding). The first spelling met is kept. The
// result is never nil.
func Tags(names ...string) []string {
	seen := make(map[string]bool, len(names))
	set := make([]string, 0, len(names))
	for _, name := range names {
		name = strings.TrimSpace(name)
		key := TagKey(name)
		if name == "" || strings.HasPrefix(key, "sys:") || seen[key] {
			continue
		}
		seen[key] = true
		set = append(set, name)
	}
	slices.SortFunc(set, func(a, b string) int { return strings.Compare(TagKey(a), TagKey(b)) })
	return set
}

// TagKey returns the form of a tag's name by which tags are compared.
func TagKey(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

package aloware

import (
	"regexp"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/payload"
)

// wire maps our fields to Aloware's names, in lookups, webhooks and POST /forms.
// Owner is not among them: user_id has to be translated through the agents.
var wire = map[df.Field]string{
	df.FirstName:   "first_name",
	df.LastName:    "last_name",
	df.Email:       "email",
	df.PhoneNumber: "phone_number",
	df.Address:     "address",
	df.City:        "city",
	df.State:       "state",
	df.PostalCode:  "zipcode",
	df.Country:     "country",
	df.Website:     "website",
	df.DateOfBirth: "date_of_birth",
	df.Timezone:    "timezone",
	df.Company:     "company_name",
	df.LeadSource:  "lead_source",
}

// Custom maps custom fields (df.CustomField keys) to Aloware's flat keys. Any
// key can be read that the account's contacts show; only csf1 and csf2 can be
// written, since POST /forms knows no others.
type Custom map[df.Field]string

// name returns Aloware's name of a field, or "".
func (c Custom) name(field df.Field) string {
	if name := wire[field]; name != "" {
		return name
	}
	return c[field]
}

// contact reads a contact as lookups and webhooks show it. Only fields whose
// key is present are known; a null is known to be empty. Owner is left out.
func (c Custom) contact(r record, region string) df.Contact {
	contact := df.Contact{
		ID:        r.text("id", "contactid"),
		Fields:    map[df.Field]string{},
		Tags:      tagNames(r["tags"]),
		UpdatedAt: r.at("updatedat"),
		DoNotCall: r.flag("isdnc"),
		DoNotText: r.flag("isoptedout"),
	}
	for field, name := range wire {
		readField(contact.Fields, r, field, name, region)
	}
	for field, name := range c {
		readField(contact.Fields, r, field, name, region)
	}
	return contact
}

func readField(fields map[df.Field]string, r record, field df.Field, name, region string) {
	value, present := r[payload.Fold(name)]
	text, plain := payload.Scalar(value)
	if !present || !plain {
		return
	}
	switch field {
	case df.PhoneNumber:
		if phone, err := df.ParsePhone(text, region); err == nil {
			text = string(phone)
		}
	case df.Email:
		text = strings.ToLower(text)
	case df.DateOfBirth:
		text = isoDate(text)
	}
	fields[field] = text
}

// tagNames reads tags as a list of names, a list of objects with a name, or a
// comma-separated text. It returns nil when none of these is there, since the
// lookups seen so far show no tags at all.
func tagNames(value any) []string {
	switch v := value.(type) {
	case string:
		return df.Tags(strings.Split(v, ",")...)
	case []any:
		names := make([]string, 0, len(v))
		for _, entry := range v {
			if object, ok := entry.(map[string]any); ok {
				entry = newRecord(object)["name"]
			}
			name, _ := payload.Scalar(entry)
			names = append(names, name)
		}
		return df.Tags(names...)
	default:
		return nil
	}
}

var leadingDate = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}`)

// isoDate returns a date of birth as YYYY-MM-DD. Aloware's documents show
// MM/DD/YYYY, its own n8n node sends ISO. What is neither stays as it is.
func isoDate(text string) string {
	if date := leadingDate.FindString(text); date != "" {
		return date
	}
	for _, layout := range [...]string{"01/02/2006", "1/2/2006"} {
		if date, err := time.Parse(layout, text); err == nil {
			return date.Format(time.DateOnly)
		}
	}
	return text
}

package ghlworld

import (
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// kind is the type that a validator asks of a property.
type kind int

const (
	text kind = iota
	nullableText
	boolean
	texts
	object
	list
	numeric
	anything
)

// dto is what one operation takes: the property names with their types.
// Everything else is refused.
type dto map[string]kind

func (d dto) with(more dto) dto {
	out := maps.Clone(d)
	maps.Copy(out, more)
	return out
}

var contactUpdate = dto{
	"firstName": nullableText, "lastName": nullableText, "name": nullableText, "email": nullableText,
	"phone": nullableText, "address1": nullableText, "city": nullableText, "state": nullableText,
	"postalCode": text, "website": nullableText, "timezone": nullableText, "dnd": boolean,
	"dndSettings": object, "inboundDndSettings": object, "tags": texts, "customFields": list,
	"source": nullableText, "dateOfBirth": nullableText, "country": text, "assignedTo": nullableText,
}

var contactCreate = contactUpdate.with(dto{"locationId": text, "gender": text, "companyName": nullableText})

var contactUpsert = contactCreate.with(dto{"createNewIfDuplicateAllowed": boolean})

// check returns the validator's complaints about a body, sorted by property.
func (d dto) check(body stage.Object, required ...string) []string {
	var complaints []string
	for _, name := range slices.Sorted(maps.Keys(body)) {
		want, known := d[name]
		if !known {
			complaints = append(complaints, fmt.Sprintf("property %s should not exist", name))
			continue
		}
		if complaint := want.complain(name, body[name]); complaint != "" {
			complaints = append(complaints, complaint)
		}
	}
	for _, name := range required {
		if value, ok := body[name]; !ok || value == nil || value == "" {
			complaints = append(complaints, name+" should not be empty")
		}
	}
	return complaints
}

func (k kind) complain(name string, value any) string {
	if value == nil && k != boolean {
		if k == text {
			return name + " must be a string"
		}
		return ""
	}
	ok, want := true, ""
	switch k {
	case text, nullableText:
		_, ok = value.(string)
		want = "a string"
	case boolean:
		_, ok = value.(bool)
		want = "a boolean value"
	case object:
		_, ok = value.(map[string]any)
		want = "an object"
	case list:
		_, ok = value.([]any)
		want = "an array"
	case numeric:
		ok, want = isNumber(value), "a number conforming to the specified constraints"
	case texts:
		return complainTexts(name, value)
	}
	if ok {
		return ""
	}
	return name + " must be " + want
}

func complainTexts(name string, value any) string {
	items, ok := value.([]any)
	if !ok {
		return name + " must be an array"
	}
	for _, item := range items {
		if _, ok := item.(string); !ok {
			return "each value in " + name + " must be a string"
		}
	}
	return ""
}

// channels of dndSettings, dated spelling and v3 spelling. RCS is in no
// specification and in real payloads.
var channels = map[string]string{
	"Call": "call", "Email": "email", "SMS": "sms", "WhatsApp": "whatsApp", "GMB": "gmb", "FB": "fb", "RCS": "rcs",
}

// checkContact adds what the validator knows about the values themselves.
func checkContact(body stage.Object, v3 bool) []string {
	var complaints []string
	if email := body.Text("email"); email != "" {
		if a, err := mail.ParseAddress(email); err != nil || a.Address != email {
			complaints = append(complaints, "email must be an email")
		}
	}
	if country := body.Text("country"); country != "" && !isCountry(country) {
		complaints = append(complaints, "country must be a valid ISO31661 Alpha2 code")
	}
	if born := body.Text("dateOfBirth"); born != "" {
		if _, ok := birthday(born); !ok {
			complaints = append(complaints, "dateOfBirth must be a valid date")
		}
	}
	complaints = append(complaints, checkDND(body, v3)...)
	return append(complaints, checkCustom(body, v3)...)
}

func checkDND(body stage.Object, v3 bool) []string {
	var complaints []string
	settings, _ := body["dndSettings"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if _, ok := channelName(name, v3); !ok {
			complaints = append(complaints, "dndSettings.property "+name+" should not exist")
			continue
		}
		setting, _ := settings[name].(map[string]any)
		status := stage.Object(setting).Text("status")
		if !slices.Contains([]string{"active", "inactive", "permanent"}, status) {
			complaints = append(complaints, "dndSettings."+name+".status must be one of the following values: active, inactive, permanent")
		}
		for _, key := range slices.Sorted(maps.Keys(setting)) {
			if !slices.Contains([]string{"status", "message", "code"}, key) {
				complaints = append(complaints, "dndSettings."+name+".property "+key+" should not exist")
			}
		}
	}
	return complaints
}

func checkCustom(body stage.Object, v3 bool) []string {
	var complaints []string
	items, _ := body["customFields"].([]any)
	for i, item := range items {
		field, ok := item.(map[string]any)
		if !ok {
			complaints = append(complaints, fmt.Sprintf("customFields.%d must be an object", i))
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(field)) {
			known := key == "id" || key == "key" || key == "field_value" || key == "fieldValue" && v3
			if !known {
				complaints = append(complaints, fmt.Sprintf("customFields.%d.property %s should not exist", i, key))
			}
		}
		if o := stage.Object(field); o.Text("id") == "" && o.Text("key") == "" {
			complaints = append(complaints, fmt.Sprintf("customFields.%d.id should not be empty", i))
		}
	}
	return complaints
}

// channelName returns the dated spelling of a DND channel.
func channelName(name string, v3 bool) (string, bool) {
	if !v3 {
		_, ok := channels[name]
		return name, ok
	}
	for dated, lower := range channels {
		if name == lower {
			return dated, true
		}
	}
	return "", false
}

func isCountry(code string) bool {
	return len(code) == 2 && strings.ToUpper(code) == code && code[0] >= 'A' && code[1] >= 'A'
}

// birthday reads the date forms that the API takes and returns YYYY-MM-DD.
func birthday(s string) (string, bool) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC().Format(time.DateOnly), true
	}
	s = strings.NewReplacer("/", "-", ".", "-", "_", "-").Replace(s)
	for _, layout := range []string{"2006-01-02", "01-02-2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(time.DateOnly), true
		}
	}
	return "", false
}

package ghl

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/df-middleware/dfm/internal/df"
)

// values are fields in the form in which GHL takes them.
type values struct {
	text   map[df.Field]string // built-in fields; df.Owner holds GHL's user id
	custom []CustomValue
}

func (v values) empty() bool { return len(v.text) == 0 && len(v.custom) == 0 }

// values brings fields into GHL's form. Those that have none are left out.
func (s *Side) values(ctx context.Context, set map[df.Field]string) (values, error) {
	v := values{text: make(map[df.Field]string)}
	for _, field := range slices.Sorted(maps.Keys(set)) {
		if _, custom := field.Custom(); custom {
			continue
		}
		value, ok, err := s.value(ctx, field, set[field])
		if err != nil {
			return values{}, err
		}
		if !ok {
			s.leaveOut(ctx, field)
			continue
		}
		v.text[field] = value
	}
	var err error
	v.custom, err = s.customValues(ctx, set)
	return v, err
}

func (s *Side) value(ctx context.Context, field df.Field, text string) (string, bool, error) {
	if field != df.Owner || text == "" {
		value, ok := normalise(field, text, s.client.region)
		return value, ok, nil
	}
	id, ok, err := s.agents.GHLUserByAgentKey(ctx, text)
	if err != nil {
		return "", false, fmt.Errorf("look up the GHL user of an agent: %w", err)
	}
	return id, ok && id != "", nil
}

func (s *Side) customValues(ctx context.Context, set map[df.Field]string) ([]CustomValue, error) {
	var wanted []df.Field
	for field := range set {
		if _, custom := field.Custom(); custom {
			wanted = append(wanted, field)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	definitions, err := s.custom.resolve(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(wanted)
	var out []CustomValue
	for _, field := range wanted {
		definition, defined := definitions[field]
		value, ok := definition.write(set[field])
		if !defined || !ok {
			s.leaveOut(ctx, field)
			continue
		}
		out = append(out, CustomValue{ID: definition.ID, Value: value})
	}
	return out, nil
}

func (s *Side) leaveOut(ctx context.Context, field df.Field) {
	s.log.LogAttrs(ctx, slog.LevelWarn, "GHL has no form for a value; it is not written", slog.String("field", string(field)))
}

// draft returns the values as a new contact.
func (v values) draft() NewContact {
	return NewContact{
		FirstName: v.text[df.FirstName], LastName: v.text[df.LastName], Email: v.text[df.Email],
		Phone: v.text[df.PhoneNumber], Address1: v.text[df.Address], City: v.text[df.City], State: v.text[df.State],
		PostalCode: v.text[df.PostalCode], Country: v.text[df.Country], Website: v.text[df.Website],
		DateOfBirth: v.text[df.DateOfBirth], Timezone: v.text[df.Timezone], CompanyName: v.text[df.Company],
		Source: v.text[df.LeadSource], AssignedTo: v.text[df.Owner], CustomFields: v.custom,
	}
}

// update returns the values as an update that touches nothing else.
func (v values) update() ContactUpdate {
	return ContactUpdate{
		FirstName: v.value(df.FirstName), LastName: v.value(df.LastName), Email: v.value(df.Email),
		Phone: v.value(df.PhoneNumber), Address1: v.value(df.Address), City: v.value(df.City), State: v.value(df.State),
		PostalCode: Text(v.value(df.PostalCode)), Country: Text(v.value(df.Country)), Website: v.value(df.Website),
		DateOfBirth: v.value(df.DateOfBirth), Timezone: v.value(df.Timezone), AssignedTo: v.value(df.Owner),
		CustomFields: v.custom,
	}
}

func (v values) value(field df.Field) Value {
	text, changed := v.text[field]
	if !changed {
		return Value{}
	}
	return Set(text)
}

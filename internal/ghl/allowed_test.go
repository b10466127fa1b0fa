package ghl

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

// strict answers reads, but those of some paths with another status.
type strict map[string]int

func (s strict) Do(_ context.Context, call egress.Call) (egress.Answer, error) {
	for path, status := range s {
		if strings.Contains(call.URL, path) {
			return egress.Answer{Status: status, Body: []byte(`{"message":"no"}`)}, nil
		}
	}
	return egress.Answer{Status: 200, Body: []byte(`{"contacts":[],"messages":[],"customFields":[],"tags":[],"users":[],"pipelines":[]}`)}, nil
}

// GHL tells nobody the scopes of a token: each is found out by a read.
func TestTheScopesThatATokenLacksAreFoundOut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		answers strict
		missing []string
		fails   bool
	}{
		{"all may be read", nil, nil, false},
		{"one is forbidden", strict{"/users/search": 403}, []string{"users.readonly"}, false},
		{"GHL says 401 to it instead", strict{"/tags": 401, "/opportunities/pipelines": 403}, []string{"locations/tags.readonly", "opportunities.readonly"}, false},
		{"GHL is down, which says nothing of the token", strict{"/users/search": 500}, nil, true},
	} {
		missing, err := stubClient(t, test.answers).Denied(t.Context(), Location{CompanyID: "co1"})
		if !slices.Equal(missing, test.missing) || (err != nil) != test.fails {
			t.Errorf("%s: %v, %v", test.name, missing, err)
		}
	}
}

func TestThePropertiesOfAnObjectAreReadInBothSpellingsOfItsKey(t *testing.T) {
	t.Parallel()
	const fields = `{"cache":true,"object":{"key":"custom_objects.broadcasts"},"fields":[` +
		`{"fieldKey":"custom_objects.broadcasts.broadcast_id"},{"fieldKey":"custom_object.broadcasts.sent"},{"fieldKey":"channel"}]}`
	names, err := stubClient(t, answering(200, fields)).ObjectProperties(t.Context(), ObjectBroadcasts)
	if err != nil || !slices.Equal(names, []string{"broadcast_id", "sent", "channel"}) {
		t.Errorf("%v, %v", names, err)
	}
	for _, status := range []int{400, 404, 422} {
		if _, err := stubClient(t, answering(status, `{"message":"Object not found"}`)).ObjectProperties(t.Context(), ObjectBroadcasts); !errors.Is(err, ErrNoObject) {
			t.Errorf("%d: %v", status, err)
		}
	}
	for status, code := range map[int]string{403: CodeForbidden, 401: df.CodeUnauthorized} {
		_, err := stubClient(t, answering(status, `{"message":"no"}`)).ObjectProperties(t.Context(), ObjectBroadcasts)
		if errors.Is(err, ErrNoObject) || !df.IsCode(err, code) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

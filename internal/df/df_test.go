package df_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"github.com/df-middleware/dfm/internal/df"
)

// The reference compared raw strings: "+1 (500) 555-0111" got past a STOP that
// was stored as +15005550111.
func TestParsePhoneReadsEveryUsualNotationAsOneNumber(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"+15005550111", "5005550111", "1 500 555 0111", "+1 (500) 555-0111", "+1-500-555-0111", " 500.555.0111 ", "001 500 555 0111",
	} {
		region := "US"
		if strings.HasPrefix(text, "001") {
			region = "DE"
		}
		if got, err := df.ParsePhone(text, region); err != nil || got != "+15005550111" {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "   ", "hello", "123", "+1", "+1500555", "+150055501112223334", "+15005550111 ext. 5", strings.Repeat("5", 65), "dana@example.test",
		"5550111", "1-800-FLOWERS", "whatsapp:+15005550111",
	} {
		if got, err := df.ParsePhone(text, ""); !errors.Is(err, df.ErrPhone) || got != "" {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if got, err := df.ParsePhone("030 123456", "DE"); err != nil || got != "+4930123456" {
		t.Errorf("a German number: %q, %v", got, err)
	}
}

// The shortcut for plain numbers must never say anything else than the library.
// A number must read as itself, or two readers of one contact would see two people.
func TestANumberThatReadsAsAnotherIsNone(t *testing.T) {
	for _, text := range []string{"+6 (2000 000 0000", "+62000000000"} {
		if got, err := df.ParsePhone(text, ""); err == nil {
			t.Errorf("%q is %q", text, got)
		}
	}
	for _, text := range []string{"+39 06 1234567", "+62 812 3456 7890", "020 7946 0958"} {
		got, err := df.ParsePhone(text, "GB")
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if again, err := df.ParsePhone(string(got), "US"); again != got || err != nil {
			t.Errorf("%q is %q, then %q, %v", text, got, again, err)
		}
	}
}

func FuzzParsePhone(f *testing.F) {
	for _, seed := range []string{"+15005550111", "+12025550123", "+19999999999", "+1500555011", "+11005550111", "+2005550111", "+6 (2000 000 0000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := df.ParsePhone(text, "")
		trimmed := strings.TrimSpace(text)
		if trimmed == "" || len(trimmed) > 64 {
			return
		}
		number, parseErr := phonenumbers.Parse(trimmed, "US")
		ok := parseErr == nil && number.GetExtension() == "" && !strings.ContainsFunc(trimmed, unicode.IsLetter) &&
			phonenumbers.IsPossibleNumberWithReason(number) == phonenumbers.IS_POSSIBLE
		if ok {
			form := phonenumbers.Format(number, phonenumbers.E164)
			again, err := phonenumbers.Parse(form, "US")
			ok = err == nil && phonenumbers.Format(again, phonenumbers.E164) == form
		}
		if ok != (err == nil) {
			t.Fatalf("%q: we say %q, %v; the library says %v, %v", text, got, err, ok, parseErr)
		}
		if ok && string(got) != phonenumbers.Format(number, phonenumbers.E164) {
			t.Fatalf("%q: %q", text, got)
		}
	})
}

func TestSecretsPhonesAndMailsDoNotPrint(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	secret, phone := df.Secret("hunter2-hunter2"), df.Phone("+15005550111")
	log.Info("x", "secret", secret, "phone", phone)
	fmt.Fprintf(&out, "%v %s %#v %+v", secret, secret, secret, struct{ S df.Secret }{secret})
	out.WriteString(df.RedactEmail("dana.reyes@example.test"))
	for _, leak := range []string{"hunter2", "5550111", "dana.reyes"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q stands in %s", leak, out.String())
		}
	}
	if secret.Reveal() != "hunter2-hunter2" || !secret.Set() || df.Secret("").Set() {
		t.Error("the secret itself is lost")
	}
	if got := df.RedactEmail("x"); got != "*" {
		t.Errorf("no address: %q", got)
	}
	if got := df.Phone("+123").Redacted(); strings.ContainsAny(got, "123") {
		t.Errorf("short number: %q", got)
	}
}

func TestTagsAreASetWithoutTheOriginalsMarkers(t *testing.T) {
	t.Parallel()
	got := df.Tags(" HOT ", "hot", "Follow Up", "", "SYS:df_middleware_origin", "sys:origin_id:1", "b")
	if want := []string{"b", "Follow Up", "HOT"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := df.Tags(); got == nil || len(got) != 0 {
		t.Errorf("no tags are %#v", got)
	}
}

func TestAContactTellsUnknownFromEmpty(t *testing.T) {
	t.Parallel()
	c := df.Contact{Fields: map[df.Field]string{df.City: "", df.PhoneNumber: "(500) 555-0111"}, Tags: []string{"a"}}
	if !c.Known(df.City) || c.Known(df.State) || c.Phone() != "+15005550111" || (df.Contact{}).Phone() != "" {
		t.Errorf("%+v", c)
	}
	copied := c.Clone()
	copied.Fields[df.City], copied.Tags[0] = "Austin", "b"
	if c.Fields[df.City] != "" || c.Tags[0] != "a" {
		t.Error("the clone shares with the original")
	}
	if key, ok := df.CustomField("score").Custom(); !ok || key != "score" {
		t.Error(key, ok)
	}
	if _, ok := df.City.Custom(); ok {
		t.Error("city is a custom field")
	}
}

func TestAPatchNamesWhatItChangesAndNoValues(t *testing.T) {
	t.Parallel()
	p := df.Patch{Set: map[df.Field]string{df.LastName: "Reyes", df.City: ""}, RemoveTags: []string{"HOT"}}
	if got := p.FieldNames(); !slices.Equal(got, []string{"city", "lastName", "tags"}) || p.Empty() || !(df.Patch{}).Empty() {
		t.Errorf("%q", got)
	}
}

func TestOutcomeOf(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	call := &df.CallError{Upstream: "ghl", Operation: "update contact", Outcome: df.Refused, RetryAt: at, Status: 422,
		Code: df.CodeInvalid, Message: "phone", Err: errors.New("cause")}
	for _, c := range []struct {
		err  error
		want df.Outcome
	}{
		{nil, df.OutcomeDone},
		{call, df.Refused},
		{fmt.Errorf("wrapped: %w", call), df.Refused},
		{context.Canceled, df.RetryLater},
		{context.DeadlineExceeded, df.RetryLater},
		{errors.New("a bug of ours"), df.RetryLater},
	} {
		if got, _ := df.OutcomeOf(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
	if _, retry := df.OutcomeOf(call); !retry.Equal(at) {
		t.Error("the upstream's time is lost")
	}
	if !df.IsCode(fmt.Errorf("x: %w", call), df.CodeInvalid) || df.IsCode(call, df.CodeNotFound) || df.IsCode(nil, df.CodeInvalid) {
		t.Error("IsCode")
	}
	if got := call.Error(); got != "ghl: update contact: invalid (HTTP 422): phone" || !errors.Is(call, call.Err) {
		t.Errorf("%q", got)
	}
}

func TestAsErrorNeverShowsACause(t *testing.T) {
	t.Parallel()
	known := &df.Error{Code: "OPTED_OUT", Message: "no", Status: 403}
	if got := df.AsError(fmt.Errorf("x: %w", known)); got != known {
		t.Errorf("%+v", got)
	}
	got := df.AsError(errors.New("password=hunter2"))
	if got.Code != "INTERNAL" || got.Status != 500 || strings.Contains(got.Error(), "hunter2") || errors.Unwrap(got) == nil {
		t.Errorf("%+v", got)
	}
}

func TestIDsAreUUIDsThatSortByAge(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	next := df.IDs(func() time.Time { at = at.Add(time.Millisecond); return at })
	var ids []string
	for range 50 {
		id := next()
		if len(id) != 36 || id[14] != '7' || !strings.ContainsRune("89ab", rune(id[19])) {
			t.Fatalf("%q is no UUIDv7", id)
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Error("ids do not sort by age")
	}
}

func TestSidesDirectionsAndStatuses(t *testing.T) {
	t.Parallel()
	if df.SideGHL.Other() != df.SideAloware || df.SideAloware.Other() != df.SideGHL {
		t.Error("Other")
	}
	if df.DirectionTo(df.SideAloware) != df.GHLToAloware || df.DirectionTo(df.SideGHL) != df.AlowareToGHL {
		t.Error("DirectionTo")
	}
	open := 0
	for _, status := range df.Statuses() {
		if status.Open() {
			open++
		}
	}
	if open != 3 || df.Done.Open() || df.Quarantined.Open() {
		t.Error("open statuses")
	}
}

package ghl

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

func TestInstallLinkCarriesWhatGHLWants(t *testing.T) {
	w := newOAuthWorld(t)
	link, err := url.Parse(w.app.Install("the state"))
	if err != nil {
		t.Fatal(err)
	}
	query := link.Query()
	if link.Host != "marketplace.gohighlevel.com" || link.Path != "/v2/oauth/chooselocation" || query.Get("client_id") != "app1-x" ||
		query.Get("response_type") != "code" || query.Get("state") != "the state" || !strings.Contains(query.Get("scope"), "contacts.write ") ||
		strings.Contains(link.RawQuery, "+") {
		t.Errorf("%s", link)
	}
	if w.app.ID() != "app1" {
		t.Errorf("app id %q", w.app.ID())
	}
}

// The original took any state, and even read the location id from it (D-24).
func TestCallbackTakesAStateOfOursOnce(t *testing.T) {
	w := newOAuthWorld(t)
	state, err := w.app.NewState()
	if err != nil {
		t.Fatal(err)
	}
	other, _ := NewApp(AppOptions{ClientID: "app1-x", ClientSecret: "c", RedirectURI: "x", StateKey: "another key of 32", Clock: w.clock, Random: rand.Reader})
	foreign, _ := other.NewState()
	changed := []byte(state)
	changed[3] ^= 1
	for name, bad := range map[string]string{"none": "", "a location id": fakeLocation, "of another key": foreign,
		"changed": string(changed), "cut": state[:40], "longer": state + "AAAA"} {
		_, err := w.app.Callback(t.Context(), "good", bad)
		if e := df.AsError(err); e.Code != "INVALID_STATE" || e.Status != 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.now = w.now.Add(stateTime - time.Second)
	if _, err := w.app.Callback(t.Context(), "good", state); err != nil {
		t.Errorf("in time: %v", err)
	}
	if _, err := w.app.Callback(t.Context(), "good", state); df.AsError(err).Code != "INVALID_STATE" {
		t.Errorf("twice: %v", err)
	}
	late, _ := w.app.NewState()
	w.now = w.now.Add(stateTime)
	if _, err := w.app.Callback(t.Context(), "good", late); df.AsError(err).Code != "INVALID_STATE" {
		t.Errorf("late: %v", err)
	}
	if len(w.endpoint.calls) != 1 {
		t.Errorf("%d codes were exchanged", len(w.endpoint.calls))
	}
}

func TestCallbackFailuresAreSafeText(t *testing.T) {
	w := newOAuthWorld(t)
	for code, want := range map[string]string{"": "INVALID_REQUEST", "bad-code": "INSTALL_FAILED"} {
		state, _ := w.app.NewState()
		_, err := w.app.Callback(t.Context(), code, state)
		if e := df.AsError(err); e.Code != want || strings.Contains(e.Message, "bad-code") {
			t.Errorf("%q: %v", code, err)
		}
	}
	w.app.location = "other"
	state, _ := w.app.NewState()
	if _, err := w.app.Callback(t.Context(), "good", state); df.AsError(err).Code != "WRONG_LOCATION" {
		t.Errorf("%v", err)
	}
	if _, err := w.vault.Token(t.Context(), fakeLocation); !errors.Is(err, ErrNoToken) {
		t.Error("the token of a wrong location was stored")
	}
}

func TestStoreSeesNoToken(t *testing.T) {
	w := newOAuthWorld(t)
	w.install(t)
	stored, err := w.vault.Token(t.Context(), fakeLocation)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprintf("%s", stored), "access-1") || strings.Contains(fmt.Sprintf("%s", stored), "refresh-1") {
		t.Errorf("%s", stored)
	}
	if stored.CompanyID != "co1" || stored.UserType != "Location" || !stored.ExpiresAt.Equal(w.now.Add(86399*time.Second)) || !stored.InstalledAt.Equal(w.now) {
		t.Errorf("%+v", stored)
	}
	// A sealed value that is moved to another place does not open there.
	stored.Refresh, stored.Access = stored.Access, stored.Refresh
	w.vault.rows[fakeLocation].token = stored
	if _, err := w.instance(t).Credentials(fakeLocation).Token(t.Context()); err == nil {
		t.Error("swapped tokens were opened")
	}
}

func TestAgencyInstallGetsTheLocationsToken(t *testing.T) {
	w := newOAuthWorld(t)
	w.endpoint.company = true
	w.install(t)
	if got := w.token(t, w.instance(t)); got != "access-2" {
		t.Errorf("got %s", got)
	}
	w.now = w.now.Add(25 * time.Hour) // renewed by the company's token, renewed itself
	if got := w.token(t, w.instance(t)); got != "access-4" {
		t.Errorf("a day later: %s", got)
	}
	kinds := []string{}
	for _, form := range w.endpoint.calls {
		kinds = append(kinds, firstText(form.Get("grant_type"), "location "+form.Get("locationId")))
	}
	if want := []string{"authorization_code", "location loc1", "refresh_token", "location loc1"}; !slices.Equal(kinds, want) {
		t.Errorf("calls %v", kinds)
	}
}

func TestNewAppNamesWhatIsMissing(t *testing.T) {
	good := AppOptions{ClientID: "a-b", ClientSecret: "c", RedirectURI: "https://x", StateKey: "0123456789abcdef"}
	if _, err := NewApp(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*AppOptions){
		"client id": func(o *AppOptions) { o.ClientID = "" }, "client secret": func(o *AppOptions) { o.ClientSecret = "" },
		"redirect": func(o *AppOptions) { o.RedirectURI = "" }, "key": func(o *AppOptions) { o.StateKey = "short" },
		"base URL": func(o *AppOptions) { o.BaseURL = "x" }, "authorize URL": func(o *AppOptions) { o.AuthorizeURL = "x" },
	} {
		options := good
		spoil(&options)
		if _, err := NewApp(options); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestUnusableGrants(t *testing.T) {
	for body, code := range map[string]string{`{}`: df.CodeGarbled, `<html>`: df.CodeGarbled} {
		app := newOAuthWorld(t).app
		app.caller = answering(http.StatusOK, body)
		if _, err := app.codeGrant(t.Context(), "good"); !df.IsCode(err, code) {
			t.Errorf("%s: %v", body, err)
		}
	}
	world := newOAuthWorld(t)
	world.app.caller = answering(http.StatusOK, `{"access_token":"a"}`)
	if got, err := world.app.codeGrant(t.Context(), "good"); err != nil || !got.expires.Equal(world.now.Add(time.Hour)) {
		t.Errorf("without a lifetime: %+v, %v", got, err)
	}
}

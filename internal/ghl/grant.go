package ghl

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

// grant is what a token endpoint hands out.
type grant struct {
	access     df.Secret
	refresh    df.Secret // empty when it hands out none
	expires    time.Time
	userType   string
	locationID string
	companyID  string
	scope      string
}

// company reports whether the grant is an agency's, from which those of its
// locations are got.
func (g grant) company() bool { return strings.EqualFold(g.userType, userCompany) }

const (
	userLocation = "Location"
	userCompany  = "Company"
)

// codeGrant exchanges the code of a callback. A code works once and for a short
// time, so a failure is not repeated: the administrator starts again.
func (a *App) codeGrant(ctx context.Context, code string) (grant, error) {
	return a.askGrant(ctx, a.tokenCall("exchange OAuth code", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.redirectURI},
	}))
}

// For 30 seconds GHL answers the same refresh token with the same new pair.
const (
	refreshGrace = 30 * time.Second
	refreshTries = 3
	refreshTime  = 9 * time.Second
)

// refreshGrant uses up a refresh token. A call that got no answer is repeated at
// once while GHL would repeat its answer; later the token would be spent.
func (a *App) refreshGrant(ctx context.Context, token df.Secret, userType string) (grant, error) {
	call := a.tokenCall("refresh OAuth token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {token.Reveal()}, "user_type": {firstText(userType, userLocation)},
	})
	call.Timeout = refreshTime
	began := a.clock()
	for try := 1; ; try++ {
		granted, err := a.askGrant(ctx, call)
		if err == nil {
			return granted, nil
		}
		if try == refreshTries || !lostAnswer(err) || a.clock().Sub(began) > refreshGrace || ctx.Err() != nil {
			a.log.LogAttrs(ctx, slog.LevelError, "GHL token not refreshed", slog.Any("error", err))
			return grant{}, err
		}
	}
}

// lostAnswer reports whether a call may have been answered without us hearing it.
func lostAnswer(err error) bool {
	var call *df.CallError
	if !errors.As(err, &call) {
		return false
	}
	switch call.Code {
	case df.CodeUnavailable, df.CodeTimeout, df.CodeGarbled:
		return true
	}
	return false
}

// locationGrant gets a location's token by its company's.
func (a *App) locationGrant(ctx context.Context, company df.Secret, companyID, locationID string) (grant, error) {
	call := a.formCall("get location token", "/oauth/locationToken", url.Values{"companyId": {companyID}, "locationId": {locationID}})
	call.Header.Set("Version", DatedVersions()[FamilyLocations])
	call.Header.Set("Authorization", "Bearer "+company.Reveal())
	granted, err := a.askGrant(ctx, call)
	granted.companyID, granted.userType = firstText(granted.companyID, companyID), userLocation
	return granted, err
}

func (a *App) tokenCall(operation string, form url.Values) egress.Call {
	form.Set("client_id", a.clientID)
	form.Set("client_secret", a.clientSecret.Reveal())
	return a.formCall(operation, "/oauth/token", form)
}

func (a *App) formCall(operation, path string, form url.Values) egress.Call {
	return egress.Call{
		Operation: operation, Method: http.MethodPost, URL: a.base + path, Body: []byte(form.Encode()), Class: egress.Reserved,
		Header: http.Header{"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"}},
	}
}

// askGrant makes one call for a grant. The dated API answers in snake_case,
// version 3 in camelCase.
func (a *App) askGrant(ctx context.Context, call egress.Call) (grant, error) {
	asked := a.clock()
	answer, err := a.caller.Do(ctx, call)
	if err != nil {
		return grant{}, err
	}
	if answer.Status < 200 || answer.Status > 299 {
		return grant{}, refusedGrant(call.Operation, answer)
	}
	o, _ := parseObject(answer.Body)
	granted := grant{
		access: df.Secret(o.text("access_token", "accessToken")), refresh: df.Secret(o.text("refresh_token", "refreshToken")),
		userType: o.text("userType", "user_type"), locationID: o.id("locationId", "location_id"),
		companyID: o.id("companyId", "company_id"), scope: o.text("scope"),
	}
	if !granted.access.Set() {
		return grant{}, failure(call.Operation, df.Unclear, df.CodeGarbled, "the answer holds no access token")
	}
	seconds := max(o.number("expires_in"), o.number("expiresIn"))
	if seconds <= 0 {
		seconds = int(time.Hour / time.Second) // GHL always says; without it an early refresh is safe
	}
	granted.expires = asked.Add(time.Duration(seconds) * time.Second)
	return granted, nil
}

// refusedGrant judges a refusal. Whatever status GHL uses for it, a code or
// refresh token that it does not take stays refused until somebody installs the
// app again; callers keep their work until then.
func refusedGrant(operation string, answer egress.Answer) *df.CallError {
	e := judge(operation, nil, answer)
	if answer.Status == http.StatusBadRequest || answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden {
		e.Outcome, e.Code = df.RetryLater, df.CodeUnauthorized
		e.Message = "GHL refuses the app's credentials; the app may have to be installed again"
	}
	return e
}

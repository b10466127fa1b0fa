package ghlworld

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// refresh is a refresh token. It works once; for a short while afterwards the
// same call gets the same new pair again.
type refresh struct {
	userType string
	usedAt   time.Time
	pair     map[string]any // what it was exchanged for
}

func (w *World) routeOAuth() {
	w.Route("choose location", "GET", "/oauth/chooselocation", w.chooseLocation)
	w.Route("choose location", "GET", "/v2/oauth/chooselocation", w.chooseLocation)
	w.Route("oauth token", "POST", "/oauth/token", w.oauthToken)
	w.route("location token", "POST", "/oauth/locationToken", crm, w.locationToken)
	w.route("location token", "POST", "/oauth/location-token", crm, w.locationToken)
}

// IssueCode returns an authorization code as a person obtains it who installs
// the app: userType is "Location" or "Company". It works once.
func (w *World) IssueCode(userType string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	code := w.HexID(20)
	w.codes[code] = userType
	return code
}

// ExpireTokens ends every access token, as the passing of a day does.
func (w *World) ExpireTokens() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.tokens)
}

// Uninstall takes the app off the location: all its tokens die, and the
// UNINSTALL event is sent.
func (w *World) Uninstall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.tokens)
	clear(w.refreshes)
	w.emit("UNINSTALL", nil)
}

// chooseLocation plays the person who clicks "install": it goes straight back.
func (w *World) chooseLocation(rw http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	back, err := url.Parse(query.Get("redirect_uri"))
	if err != nil || !back.IsAbs() || query.Get("client_id") != w.config.ClientID || query.Get("response_type") != "code" {
		stage.JSON(rw, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
		return
	}
	values := back.Query()
	values.Set("code", w.IssueCode("Location"))
	if state := query.Get("state"); state != "" {
		values.Set("state", state)
	}
	back.RawQuery = values.Encode()
	http.Redirect(rw, r, back.String(), http.StatusFound)
}

// oauthToken takes a form, as the dated specification says, and camelCase names
// with Version v3.
func (w *World) oauthToken(rw http.ResponseWriter, r *http.Request) {
	v3 := r.Header.Get("Version") == "v3"
	if err := r.ParseForm(); err != nil {
		stage.JSON(rw, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
		return
	}
	get := func(name string) string {
		if v3 {
			name = camel(name)
		}
		return r.PostForm.Get(name)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	pair, f := w.exchange(get)
	if f != nil {
		w.answer(rw, f.status, f.body)
		return
	}
	w.answer(rw, http.StatusOK, tokenView(pair, v3))
}

func (w *World) exchange(get func(string) string) (map[string]any, *failure) {
	switch grantType := get("grant_type"); {
	case grantType == "":
		return nil, invalid("grant_type must be a valid enum value", "grant_type should not be empty")
	case get("client_id") != w.config.ClientID || get("client_secret") != w.config.ClientSecret:
		return nil, oauthError(http.StatusUnauthorized, "invalid_client", "Invalid client credentials!")
	case grantType == "authorization_code":
		userType, ok := w.codes[get("code")]
		if !ok {
			return nil, oauthError(http.StatusBadRequest, "invalid_grant", "Invalid grant: authorization code is invalid")
		}
		delete(w.codes, get("code"))
		return w.pair(userType), nil
	case grantType == "refresh_token":
		return w.rotate(get("refresh_token"))
	}
	return nil, invalid("grant_type must be a valid enum value")
}

// rotate exchanges a refresh token. A second exchange within the grace gets the
// same pair; a later one finds the token dead.
func (w *World) rotate(token string) (map[string]any, *failure) {
	r := w.refreshes[token]
	used := r != nil && !r.usedAt.IsZero()
	if r == nil || used && w.Now().Sub(r.usedAt) > w.config.RefreshGrace {
		return nil, oauthError(http.StatusBadRequest, "invalid_grant", "This refresh token is invalid")
	}
	if !used {
		r.usedAt = w.Now()
		r.pair = w.pair(r.userType)
	}
	return r.pair, nil
}

func oauthError(status int, code, description string) *failure {
	return &failure{status, map[string]any{"error": code, "error_description": description}}
}

// pair issues an access token and a refresh token.
func (w *World) pair(userType string) map[string]any {
	g := w.issue(userType)
	next := w.HexID(32)
	w.refreshes[next] = &refresh{userType: userType}
	out := map[string]any{
		"access_token": g.token, "token_type": "Bearer", "expires_in": int(w.config.TokenLife.Seconds()) - 1,
		"refresh_token": next, "refreshTokenId": w.HexID(12), "scope": "contacts.readonly contacts.write",
		"userType": userType, "companyId": w.config.CompanyID, "userId": w.ID(20),
	}
	if userType == "Location" {
		out["locationId"] = w.config.LocationID
	}
	return out
}

func (w *World) issue(userType string) *grant {
	g := &grant{userType: userType, provider: true, expires: w.Now().Add(w.config.TokenLife)}
	if userType == "Location" {
		g.locationID = w.config.LocationID
	}
	g.token = w.jwt(g)
	w.tokens[g.token] = g
	return g
}

// jwt makes an access token that looks like GHL's. Nobody verifies it by itself.
func (w *World) jwt(g *grant) string {
	claims, err := json.Marshal(map[string]any{
		"authClass": g.userType, "authClassId": g.locationID, "exp": g.expires.Unix(), "jti": w.HexID(8),
	})
	if err != nil {
		panic("ghlworld: claims cannot be encoded: " + err.Error()) // strings and a number
	}
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part(claims) + "." + part(w.Bytes(32))
}

// tokenView spells the fields as the version asked for has them.
func tokenView(pair map[string]any, v3 bool) map[string]any {
	out := map[string]any{}
	for name, value := range pair {
		if v3 {
			name = camel(name)
		}
		out[name] = value
	}
	return out
}

func camel(name string) string {
	parts := strings.Split(name, "_")
	for i, part := range parts[1:] {
		parts[i+1] = strings.ToUpper(part[:1]) + part[1:]
	}
	return strings.Join(parts, "")
}

// locationToken trades an agency token for one of the location. Each version
// has its own spelling of the path.
func (w *World) locationToken(c *call) (int, any, *failure) {
	dashed := strings.HasSuffix(c.r.URL.Path, "location-token")
	if dashed && !c.v3 {
		return 0, nil, fail(http.StatusNotFound, "Cannot POST /oauth/location-token")
	}
	if c.who.userType != "Company" {
		return 0, nil, fail(http.StatusUnauthorized, "The token is not authorized for this scope.")
	}
	if c.body.Text("companyId") != w.config.CompanyID || c.body.Text("locationId") != w.config.LocationID {
		return 0, nil, fail(http.StatusBadRequest, "Location not found")
	}
	g := w.issue("Location")
	return http.StatusOK, tokenView(map[string]any{
		"access_token": g.token, "token_type": "Bearer", "expires_in": int(w.config.TokenLife.Seconds()) - 1,
		"scope": "contacts.readonly contacts.write", "locationId": w.config.LocationID, "userId": w.ID(20), "userType": "Location",
	}, c.v3), nil
}

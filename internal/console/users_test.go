package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/console"
)

func TestAnAdministratorKeepsTheUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	w.has("/users", "No users yet")
	fields := []string{"name", "Robin " + hostile, "email", "Robin@Example.test", "role", "operator", "password", userPassword, "clerkUserId", "user_2robin"}
	if got := w.post("/users", fields...); got.status != http.StatusSeeOther {
		t.Fatalf("%d %.400s", got.status, got.body)
	}
	w.has("/users", "can sign in now", "robin@example.test", "operator", "never", `<span class="tag">Clerk</span>`)
	if got := w.post("/users", fields...); got.status != http.StatusConflict {
		t.Errorf("the same again: %d", got.status)
	}
	if got := w.post("/users", "name", "x", "email", "x@example.test", "role", "viewer", "password", "short"); got.status != http.StatusBadRequest || !strings.Contains(got.body, "at least 12") {
		t.Errorf("a short password: %d %.300s", got.status, got.body)
	}
	robin, err := w.accounts.Find(t.Context(), "robin@example.test")
	w.must(err)
	path := "/users/" + robin.ID
	w.has(path, "user_2robin", "Set a password")
	if got := w.post(path, "email", "robin@example.test", "role", "viewer", "clerkUserId", ""); got.status != http.StatusSeeOther {
		t.Fatalf("%d %.400s", got.status, got.body)
	}
	if got := w.post(path+"/password", "password", "the next password"); got.status != http.StatusSeeOther {
		t.Fatalf("%d %.400s", got.status, got.body)
	}
	w.has(path+"/disable", "Disable this user?", "signed out at once")
	if got := w.post(path + "/disable"); got.status != http.StatusSeeOther {
		t.Fatalf("%d", got.status)
	}
	w.has("/users", "disabled", "Enable")
	if got := w.get(path + "/disable"); got.status != http.StatusConflict {
		t.Errorf("to disable again: %d", got.status)
	}
	if got := w.get(path + "/explode"); got.status != http.StatusNotFound {
		t.Errorf("an action that is none: %d", got.status)
	}
	w.post(path + "/enable")
	robin, err = w.accounts.Find(t.Context(), robin.ID)
	if err != nil || robin.Role != console.Viewer || robin.ClerkUserID != "" || robin.Disabled() {
		t.Errorf("%+v, %v", robin, err)
	}
	audit := w.get("/audit").body
	for _, text := range []string{"user.create", "user.change", "operator to viewer"} {
		if !strings.Contains(audit, text) {
			t.Errorf("the audit log does not say %q", text)
		}
	}
	for _, secret := range []string{userPassword, "the next password", "argon2id"} {
		for _, page := range []string{"/audit", "/users", path} {
			if strings.Contains(w.get(page).body, secret) {
				t.Errorf("%s shows a password or its hash", page)
			}
		}
	}
}

func TestTheAdminAPIKeepsTheUsersToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status, made := w.api(http.MethodPost, "/api/admin/users", `{"name":"Dana","email":"dana@example.test","role":"admin","password":"`+userPassword+`"}`)
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, made)
	}
	one := made["data"].(map[string]any)
	path := "/api/admin/users/" + one["id"].(string)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodGet, path, "", 200}, {http.MethodPatch, path, `{"role":"viewer","clerkUserId":"user_2dana"}`, 200},
		{http.MethodPut, path, `{"password":"the next password"}`, 200}, {http.MethodPatch, path, `{"password":"short"}`, 400},
		{http.MethodPatch, path, `{"name":"Other"}`, 400}, {http.MethodPatch, path, `{"role":"root"}`, 400}, {http.MethodPatch, path, `{`, 400},
		{http.MethodDelete, path, "", 200}, {http.MethodGet, "/api/admin/users/nobody", "", 404}, {http.MethodDelete, "/api/admin/users/nobody", "", 404},
		{http.MethodPost, "/api/admin/users", `{"name":"dana","email":"d2@example.test","role":"viewer","password":"` + userPassword + `"}`, 409},
	} {
		if status, answer := w.api(c.method, c.path, c.body); status != c.status {
			t.Errorf("%s %s %s: %d %v", c.method, c.path, c.body, status, answer)
		}
	}
	status, listed := w.api(http.MethodGet, "/api/admin/users", "")
	rows := listed["data"].([]any)
	if status != http.StatusOK || len(rows) != 1 {
		t.Fatalf("%d %v", status, listed)
	}
	row := rows[0].(map[string]any)
	if row["role"] != "viewer" || row["clerkUserId"] != "user_2dana" || row["disabled"] != true || row["hasPassword"] != true || row["password"] != nil {
		t.Errorf("%v", row)
	}
}

func TestAUserSignsInAndTheAuditLogSaysWho(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	robin := w.user("Robin", console.Operator)
	for email, password := range map[string]string{robin.Email: "not the password", "nobody@example.test": userPassword} {
		got := w.trySignIn(email, password)
		if got.status != http.StatusUnauthorized || !strings.Contains(got.body, "There is no user with this e-mail and password.") || strings.Contains(got.body, password) {
			t.Errorf("%s: %d %.300s", email, got.status, got.body)
		}
	}
	w.signInAs(robin)
	w.has("/agents", "Signed in as Robin, operator", `href="/password"`)
	if page := w.get("/agents").body; strings.Contains(page, `href="/keys"`) || strings.Contains(page, `href="/users"`) {
		t.Error("the menu offers an operator what he may not see")
	}
	if got := w.post("/agents", "key", "ALEX", "displayName", "Alex"); got.status != http.StatusSeeOther {
		t.Fatalf("%d", got.status)
	}
	w.has("/audit", "user:Robin")
}

// What an administrator changes counts at once, in the middle of a session.
func TestASessionFollowsItsUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	robin := w.user("Robin", console.Admin)
	ctx, status := auth.WithActor(t.Context(), "admin"), func() int { return w.get("/users").status }
	w.signInAs(robin)
	if status() != http.StatusOK {
		t.Fatalf("%d", status())
	}
	viewer, off, on, password := console.Viewer, true, false, "the next password"
	_, err := w.accounts.Change(ctx, robin.ID, auth.UserChange{Role: &viewer})
	if w.must(err); status() != http.StatusForbidden || w.get("/agents").status != http.StatusOK {
		t.Errorf("as a viewer: %d", status())
	}
	_, err = w.accounts.Change(ctx, robin.ID, auth.UserChange{Disabled: &off})
	if w.must(err); status() != http.StatusSeeOther {
		t.Errorf("disabled: %d", status())
	}
	_, err = w.accounts.Change(ctx, robin.ID, auth.UserChange{Disabled: &on})
	if w.must(err); status() != http.StatusSeeOther {
		t.Errorf("the session of before came back: %d", status())
	}
	w.signInAs(robin)
	if code, answer := w.api(http.MethodPatch, "/api/admin/users/"+robin.ID, `{"password":"`+password+`"}`); code != http.StatusOK {
		t.Fatalf("%d %v", code, answer)
	}
	if got := w.get("/agents"); got.status != http.StatusSeeOther {
		t.Errorf("after a new password: %d", got.status)
	}
}

func TestEverybodyChangesHisOwnPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	robin := w.user("Robin", console.Viewer)
	w.signInAs(robin)
	w.has("/password", "Password of now")
	for name, c := range map[string]struct {
		now, next, again string
		status           int
	}{
		"a wrong one": {"wrong", "the next password", "the next password", 403}, "two different": {userPassword, "the next password", "the other password", 400},
		"a short one": {userPassword, "short", "short", 400},
	} {
		if got := w.post("/password", "now", c.now, "next", c.next, "again", c.again); got.status != c.status {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	got := w.post("/password", "now", userPassword, "next", "the next password", "again", "the next password")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/sign-in?changed" {
		t.Fatalf("%d %.300s", got.status, got.body)
	}
	w.has("/sign-in?changed", "Your password is changed")
	if got := w.get("/agents"); got.status != http.StatusSeeOther {
		t.Errorf("still signed in: %d", got.status)
	}
	if got := w.trySignIn(robin.Email, "the next password"); got.status != http.StatusSeeOther {
		t.Errorf("the new one: %d", got.status)
	}
	w.browser = w.newBrowser()
	w.signIn()
	w.has("/password", "You have none here")
	if got := w.post("/password", "now", adminSecret, "next", "the next password", "again", "the next password"); got.status != http.StatusConflict {
		t.Errorf("the admin secret's: %d", got.status)
	}
}

func TestAnAdministratorCannotShutHimselfOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dana := w.user("Dana", console.Admin)
	w.signInAs(dana)
	path := "/users/" + dana.ID
	w.has(path, "Your own role only another administrator can change.")
	for what, got := range map[string]answer{
		"disable": w.post(path + "/disable"), "demote": w.post(path, "email", dana.Email, "role", "viewer"), "set a password": w.post(path+"/password", "password", "the next password"),
	} {
		if got.status != http.StatusConflict {
			t.Errorf("%s: %d", what, got.status)
		}
	}
	if got := w.post(path, "email", "fox@example.test", "role", "admin"); got.status != http.StatusSeeOther {
		t.Errorf("another e-mail: %d", got.status)
	}
}

func TestATokenOfClerksSignsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clerk = map[string]string{"good": "user_2robin", "stranger": "user_2other"}
	robin := w.user("Robin", console.Operator)
	id := "user_2robin"
	_, err := w.accounts.Change(t.Context(), robin.ID, auth.UserChange{ClerkUserID: &id})
	w.must(err)
	w.has("/sign-in", "Sign in with Clerk")
	bearer := func(token string) answer {
		w.browser = w.newBrowser()
		return w.do(http.MethodPost, "/sign-in/clerk", nil, http.Header{"Authorization": {"Bearer " + token}})
	}
	for _, token := range []string{"stranger", "forged"} {
		if got := bearer(token); got.status != http.StatusUnauthorized || w.cookies()["dfm_session"] != "" || !strings.Contains(got.body, "UNAUTHORIZED") {
			t.Errorf("%s: %d %s", token, got.status, got.body)
		}
	}
	got := bearer("good")
	if got.status != http.StatusOK || !strings.Contains(got.body, `"name":"Robin","role":"operator"`) || strings.Contains(got.body, "good") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	w.has("/agents", "Signed in as Robin")
	form := func(fields url.Values, origin string) answer {
		w.browser = w.newBrowser()
		if fields.Get("csrf") == "page" {
			fields.Set("csrf", tokenIn(t, w.get("/sign-in").body))
		}
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
			header.Set("Sec-Fetch-Site", "cross-site")
		}
		return w.do(http.MethodPost, "/sign-in/clerk", fields, header)
	}
	for what, c := range map[string]struct {
		fields url.Values
		origin string
		status int
	}{
		"by the sign-in page":         {url.Values{"csrf": {"page"}, "__session": {" good\n"}, "next": {"/people"}}, "", 303},
		"by a page of Verity's":       {url.Values{"__session": {"good"}, "next": {"/people"}}, verityOrigin, 303},
		"by the page, a stranger":     {url.Values{"csrf": {"page"}, "__session": {"stranger"}}, "", 401},
		"by the page, nothing":        {url.Values{"csrf": {"page"}}, "", 401},
		"by another site":             {url.Values{"__session": {"good"}}, "https://elsewhere.example.test", 403},
		"by a page of no origin":      {url.Values{"__session": {"good"}}, "null", 403},
		"by nobody knows whom":        {url.Values{"__session": {"good"}}, "", 403},
		"by another site, with token": {url.Values{"csrf": {"page"}, "__session": {"good"}}, "https://elsewhere.example.test", 403},
	} {
		got := form(c.fields, c.origin)
		if got.status != c.status || (w.cookies()["dfm_session"] != "") != (c.status == 303) || c.status == 303 && got.header.Get("Location") != "/people" {
			t.Errorf("%s: %d to %q", what, got.status, got.header.Get("Location"))
		}
		w.clock.skip(time.Minute) // the brake forgives
	}
}

func TestWithoutClerkThereIsNoSuchWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.console.Clerk = nil
	if page := w.get("/sign-in").body; strings.Contains(page, "Clerk") {
		t.Error("the sign-in page offers Clerk")
	}
	if got := w.do(http.MethodPost, "/sign-in/clerk", nil, http.Header{"Authorization": {"Bearer x"}}); got.status != http.StatusNotFound {
		t.Errorf("%d", got.status)
	}
}

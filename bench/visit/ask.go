package visit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Visitor is somebody who is signed in at the console and has the admin secret.
type Visitor struct {
	http   *http.Client
	base   string
	secret string
}

// SignIn signs in at the console of a running program.
func SignIn(ctx context.Context, base, secret string) (*Visitor, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	v := &Visitor{&http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, base, secret}
	form, err := v.Ask(ctx, "/sign-in")
	if err != nil {
		return nil, err
	}
	field := csrfField.FindSubmatch(form.Body)
	if field == nil {
		return nil, fmt.Errorf("sign in: the form answers %d and has no token", form.Status)
	}
	values := url.Values{"secret": {secret}, "csrf": {string(field[1])}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/sign-in", strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := v.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusSeeOther {
		return nil, fmt.Errorf("sign in: answered %d", response.StatusCode)
	}
	return v, nil
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// Answer is what came back.
type Answer struct {
	Status int
	Body   []byte
	Took   time.Duration // until the last byte
}

// Ask asks for an address.
func (v *Visitor) Ask(ctx context.Context, path string) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+path, nil)
	if err != nil {
		return Answer{}, err
	}
	if strings.HasPrefix(path, "/api/") {
		request.Header.Set("X-DF-ADMIN-SECRET", v.secret)
	}
	began := time.Now()
	response, err := v.http.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return Answer{response.StatusCode, body, time.Since(began)}, err
}

// steps is how many answers of 500 rows are followed to come deep into a list.
const steps = 20

// deep follows the cursors of a list and returns the last, or "" when the list is
// all in one answer.
func (v *Visitor) deep(ctx context.Context, twin string) (string, error) {
	cursor := ""
	for range steps {
		path := twin + "?limit=500"
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		answer, err := v.Ask(ctx, path)
		if err != nil {
			return "", err
		}
		var list struct{ NextCursor *string }
		if err := json.Unmarshal(answer.Body, &list); err != nil {
			return "", fmt.Errorf("%s: answered %d: %w", path, answer.Status, err)
		}
		if list.NextCursor == nil {
			break
		}
		cursor = *list.NextCursor
	}
	return cursor, nil
}

// Paths are the addresses of the pairs, each once, with cursors for the deep ones.
// A list that is not long enough to have a deep page is left out.
func (v *Visitor) Paths(ctx context.Context, pairs []Pair) ([]string, error) {
	var paths []string
	known := map[string]bool{"": true}
	add := func(path string) {
		if !known[path] {
			known[path] = true
			paths = append(paths, path)
		}
	}
	for _, pair := range pairs {
		if !pair.Deep {
			add(pair.Page)
			add(pair.Twin)
			continue
		}
		cursor, err := v.deep(ctx, pair.Twin)
		if err != nil {
			return nil, err
		}
		if cursor == "" {
			continue
		}
		for _, path := range []string{pair.Page, pair.Twin} {
			if path != "" {
				add(path + "?cursor=" + url.QueryEscape(cursor))
			}
		}
	}
	return paths, nil
}

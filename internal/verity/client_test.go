package verity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

// fakeTokens mints t1, t2, … and a new one only after the last was refused.
type fakeTokens struct {
	mu      sync.Mutex
	n       int
	refused []string
	err     error
}

func (f *fakeTokens) Token(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return "t" + string(rune('1'+f.n)), f.err
}

func (f *fakeTokens) Invalidate(_ context.Context, token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = append(f.refused, token)
	f.n++
}

func newClient(t *testing.T, answer http.HandlerFunc, change func(*Config)) (*Client, *rig, *fakeTokens) {
	t.Helper()
	tokens := &fakeTokens{}
	r := newRig(t, answer, change)
	return r.gateway.Client(ClientConfig{Tokens: tokens, WebhookSecret: "hook-secret"}), r, tokens
}

func TestOwnTokenIsRenewedOnceOn401(t *testing.T) {
	for _, test := range []struct {
		good   string // the token that Verity takes
		status int
		calls  int
	}{{"Bearer t1", 200, 1}, {"Bearer t2", 200, 2}, {"Bearer t9", 401, 2}} {
		c, r, tokens := newClient(t, func(w http.ResponseWriter, q *http.Request) {
			if q.Header.Get("Authorization") != test.good {
				w.WriteHeader(401)
			}
		}, nil)
		response, err := c.Do(t.Context(), Request{Endpoint: "/api/x", Method: "POST", Body: []byte(`{"a":1}`)})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "status", response.Status, test.status)
		got := r.reached()
		equal(t, "calls", len(got), test.calls)
		equal(t, "body of the last", got[len(got)-1].Body, `{"a":1}`)
		if test.calls == 2 {
			equal(t, "invalidated", tokens.refused[0], "t1")
		}
	}
}

func TestInnerDoorMakesTheSameChecks(t *testing.T) {
	c, r, tokens := newClient(t, nil, func(c *Config) { c.Mode = Enforce })
	for _, test := range []struct {
		request Request
		code    string
	}{
		{Request{Endpoint: "/api/../x", Method: "GET"}, "INVALID_ENDPOINT"},
		{Request{Endpoint: "/api/{a}", Method: "GET", Params: map[string]string{"a": ".."}}, "INVALID_ENDPOINT"},
		{Request{Endpoint: "/api/x", Method: "BREW"}, "INVALID_METHOD"},
		{Request{Endpoint: "/api/unlisted", Method: "GET"}, "ENDPOINT_NOT_FOUND"},
		{Request{Endpoint: "/api/user", Method: "GET", Authorization: "Bearer forged"}, "INVALID_TOKEN"},
		{Request{Endpoint: "/api/admin", Method: "GET", Authorization: "Bearer user"}, "FORBIDDEN"},
		{Request{Endpoint: "/apisms", Method: "POST", Body: []byte(`{"to":"+15005550199"}`)}, "OPTED_OUT"},
		{Request{Endpoint: "/apisms", Method: "POST", Body: []byte(`{"to":"+15005550100","to":"+15005550199"}`)}, "INVALID_REQUEST"},
		{Request{Endpoint: "/api/any", Method: "POST", Body: []byte(strings.Repeat(" ", 2<<20))}, "PAYLOAD_TOO_LARGE"},
	} {
		_, err := c.Do(t.Context(), test.request)
		refused, ok := errors.AsType[*df.Error](err)
		if !ok || refused.Code != test.code {
			t.Errorf("%s: got %v", test.code, err)
		}
	}
	if got := r.reached(); len(got) > 0 {
		t.Fatalf("Verity got %+v", got)
	}
	// With our own token Verity decides; with a caller's token we send that one.
	for auth, want := range map[string]string{"": "Bearer t1", "Bearer admin": "Bearer admin"} {
		response, err := c.Do(t.Context(), Request{Endpoint: "/api/admin", Method: "GET", Authorization: auth})
		if err != nil || !response.OK() || response.Template != "/api/admin" {
			t.Fatalf("got %+v, %v", response, err)
		}
		equal(t, "token", r.reached()[0].Header.Get("Authorization"), want)
	}
	tokens.err = errors.New("clerk is away")
	_, err := c.Do(t.Context(), Request{Endpoint: "/api/admin", Method: "GET"})
	outcome, _ := df.OutcomeOf(err)
	equal(t, "no token", outcome, df.RetryLater)
}

func TestSendText(t *testing.T) {
	text := Text{To: "+15005550100", Body: "hi", MessageID: "ghl-1", MediaURLs: []string{"https://x.example.test/a.png"}}
	optedOut, unreadable := text, text
	optedOut.To, unreadable.To = "+15005550199", "+15005550198"
	say := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	tests := []struct {
		name    string
		text    Text
		answer  http.HandlerFunc
		outcome df.Outcome
		code    string
		id      string
	}{
		{"taken", text, say(202, `{"success":true,"messageId":"v-1","chatId":"c","status":"pending"}`), df.OutcomeDone, "", "v-1"},
		{"taken, older name", text, say(200, `{"success":true,"id":7}`), df.OutcomeDone, "", "7"},
		{"taken, wrapped", text, say(200, `{"success":true,"data":{"messageId":"v-2"}}`), df.OutcomeDone, "", "v-2"},
		{"2xx that says no", text, say(200, `{"success":false,"messageId":"v-1"}`), df.Unclear, df.CodeGarbled, ""},
		{"2xx that is a page", text, say(200, `<html>`), df.Unclear, df.CodeGarbled, ""},
		{"opted out", optedOut, nil, df.Refused, CodeGate, ""},
		{"consent unreadable", unreadable, nil, df.RetryLater, df.CodeUnavailable, ""},
		{"too fast", text, say(429, ``), df.RetryLater, df.CodeRateLimited, ""},
		{"resting", text, say(503, ``), df.RetryLater, df.CodeUnavailable, ""},
		{"credentials", text, say(401, ``), df.RetryLater, df.CodeUnauthorized, ""},
		{"bad number", text, say(422, `{}`), df.Refused, df.CodeInvalid, ""},
		{"broke inside", text, say(500, ``), df.Unclear, df.CodeUnavailable, ""},
		{"broke off", text, func(w http.ResponseWriter, _ *http.Request) { abort(w) }, df.Unclear, df.CodeUnavailable, ""},
		{"hangs", text, func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }, df.Unclear, df.CodeTimeout, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, r, _ := newClient(t, test.answer, func(c *Config) { c.Timeout = 100 * time.Millisecond })
			receipt, err := c.SendText(t.Context(), test.text)
			outcome, at := df.OutcomeOf(err)
			equal(t, "outcome", outcome, test.outcome)
			equal(t, "id", receipt.MessageID, test.id)
			if err != nil {
				equal(t, "code", df.IsCode(err, test.code), true)
				if strings.Contains(err.Error(), "500555") {
					t.Errorf("a number in %q", err)
				}
			}
			if test.code == df.CodeRateLimited && at.IsZero() {
				t.Error("Retry-After is lost")
			}
			got := r.reached()
			if test.text.To != text.To {
				equal(t, "sent", len(got), 0)
				return
			}
			equal(t, "sent once", len(got), 1)
			equal(t, "uri", got[0].URI, catalogue.TextPath)
			equal(t, "key", got[0].Header.Get("Authorization"), "Bearer verity-key")
			equal(t, "idempotency", got[0].Header.Get("Idempotency-Key"), "ghl-1")
			equal(t, "body", got[0].Body, `{"to":"+15005550100","body":"hi","mediaUrls":["https://x.example.test/a.png"],"correlationId":"ghl-1"}`)
		})
	}
	dial := &flaky{err: &net.OpError{Op: "dial", Err: errors.New("refused")}}
	dial.fails.Store(9)
	c, _, _ := newClient(t, nil, func(c *Config) { c.Transport = dial })
	_, err := c.SendText(t.Context(), text)
	outcome, _ := df.OutcomeOf(err)
	equal(t, "never sent", outcome, df.RetryLater)
	equal(t, "tried once", dial.tries.Load(), 1)
}

func TestForwardSignsTheVeryBytes(t *testing.T) {
	body := []byte("{ \"type\" : \"X\",\n \"n\":1.0 }")
	c, r, _ := newClient(t, nil, nil)
	header := http.Header{"X-Ghl-Signature": {"ed"}, "Cookie": {"a=b"}, "X-Ghl-Webhook-Secret": {"s"}}
	if err := c.ForwardGHL(t.Context(), Forward{EventID: "e-1", Body: body, Header: header}); err != nil {
		t.Fatal(err)
	}
	got := r.reached()[0]
	mac := hmac.New(sha256.New, []byte("hook-secret"))
	mac.Write(body)
	equal(t, "body", got.Body, string(body))
	for name, value := range map[string]string{
		"X-Middleware-Forwarded": "true", "X-Middleware-Signature": hex.EncodeToString(mac.Sum(nil)), "Idempotency-Key": "e-1",
		"X-Ghl-Signature": "ed", "X-Middleware-Secret": "", "Cookie": "", "X-Ghl-Webhook-Secret": "", "Authorization": "",
	} {
		equal(t, name, got.Header.Get(name), value)
	}
	plain := r.gateway.Client(ClientConfig{WebhookSecret: "hook-secret", PlainSecret: true})
	if err := plain.ForwardGHL(t.Context(), Forward{EventID: "e-2", Body: body}); err != nil {
		t.Fatal(err)
	}
	equal(t, "plain", r.reached()[0].Header.Get("X-Middleware-Secret"), "hook-secret")
	for status, want := range map[int]df.Outcome{500: df.RetryLater, 503: df.RetryLater, 400: df.Refused, 401: df.RetryLater} {
		c, _, _ := newClient(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }, nil)
		outcome, _ := df.OutcomeOf(c.ForwardGHL(t.Context(), Forward{EventID: "e", Body: body}))
		equal(t, "outcome", outcome, want)
	}
	cut, _, _ := newClient(t, func(w http.ResponseWriter, _ *http.Request) { abort(w) }, nil)
	outcome, _ := df.OutcomeOf(cut.ForwardGHL(t.Context(), Forward{EventID: "e", Body: body}))
	equal(t, "no answer", outcome, df.RetryLater)
	bare := r.gateway.Client(ClientConfig{})
	if err := bare.ForwardGHL(t.Context(), Forward{Body: body}); !df.IsCode(err, df.CodeUnconfigured) {
		t.Errorf("got %v", err)
	}
}

func TestAnalyticsAreFoundWhereverTheyAre(t *testing.T) {
	sent := time.Date(2031, 5, 1, 8, 0, 0, 0, time.UTC)
	full := Analytics{Name: "May", Channel: "sms", SentAt: sent, Recipients: 10, Sent: 8, Delivered: 6, Pending: 1, Failed: 1, Bounced: 2, OptedOut: 1, Responses: 3, Appointments: 4}
	fields := `"recipients":10,"sent":8,"delivered":"6","pending":1.0,"failed":1,"bounced":2,"optedOut":1,"responses":3`
	tests := []struct {
		name, body string
		want       Analytics
		ok         bool
	}{
		{"root", `{"name":"May","channel":"sms","sentAt":"2031-05-01T08:00:00Z",` + fields + `,"appointmentsSet":4}`, full, true},
		{"data, other names", `{"success":true,"data":{"subject":"May","type":"sms","executedAt":"2031-05-01T10:00:00+02:00",` + strings.Replace(fields, "recipients", "totalRecipients", 1) + `,"appointments":4}}`, full, true},
		{"data and analytics", `{"data":{"name":"May","channel":"sms","sentAt":1935388800,"analytics":{` + fields + `,"appointments":[1,2,3,4]}}}`, full, true},
		{"webhook", `{"type":"analytics_updated","broadcastId":"b","name":"May","analytics":{"channel":"sms","sentAt":1935388800000,` + fields + `,"appointments":4}}`, full, true},
		{"one count", `{"sent":"0"}`, Analytics{}, true},
		{"negative", `{"sent":-5}`, Analytics{}, true},
		{"no counts", `{"name":"May"}`, Analytics{Name: "May"}, false},
		{"a list", `[1]`, Analytics{}, false},
		{"garbage", `<html>`, Analytics{}, false},
		{"nothing", ``, Analytics{}, false},
		{"absurd", `{"sent":1e300}`, Analytics{}, false},
	}
	for _, test := range tests {
		got, ok := DecodeAnalytics([]byte(test.body))
		equal(t, test.name+" ok", ok, test.ok)
		if ok {
			equal(t, test.name, got, test.want)
		}
	}
}

func TestBroadcastAnalyticsAreFetchedWithOurToken(t *testing.T) {
	status, body := 200, `{"data":{"sent":2}}`
	c, r, _ := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}, nil)
	analytics, err := c.BroadcastAnalytics(t.Context(), "b/1")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "sent", analytics.Sent, 2)
	got := r.reached()[0]
	equal(t, "uri", got.URI, "/api/comms/broadcasts/b%2F1/analytics")
	equal(t, "token", got.Header.Get("Authorization"), "Bearer t1")
	for _, test := range []struct {
		status  int
		body    string
		outcome df.Outcome
		code    string
	}{
		{200, "<html>", df.RetryLater, df.CodeGarbled}, {404, "", df.Refused, df.CodeNotFound}, {500, "", df.RetryLater, df.CodeUnavailable},
	} {
		status, body = test.status, test.body
		_, err := c.BroadcastAnalytics(t.Context(), "b")
		outcome, _ := df.OutcomeOf(err)
		equal(t, "outcome", outcome, test.outcome)
		equal(t, "code", df.IsCode(err, test.code), true)
	}
	_, err = c.BroadcastAnalytics(t.Context(), "..")
	outcome, _ := df.OutcomeOf(err)
	equal(t, "a hostile id", outcome, df.Refused)
}

package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/store"
)

// Caller makes calls; egress.Client is one.
type Caller interface {
	Do(ctx context.Context, call egress.Call) (egress.Answer, error)
}

// Webhook tells alerts to a URL.
type Webhook struct {
	Caller  Caller
	URL     df.Secret // whoever knows it can write to the channel
	Slack   bool      // Slack's form; else the original's JSON
	Console string    // the console's public address, or ""
}

// IsSlack reports whether the URL is one of Slack's, or of those that take its
// form under its path.
func IsSlack(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Hostname() == "hooks.slack.com" || strings.HasSuffix(u.Path, "/slack"))
}

// Send implements Sender. A receiver that repeats what it got does no harm, so a
// call without an answer is made again.
func (w Webhook) Send(ctx context.Context, a store.Alert) error {
	body := w.plain(a)
	if w.Slack {
		body = w.slack(a)
	}
	answer, err := w.Caller.Do(ctx, egress.Call{
		Operation: "tell an alert", Method: http.MethodPost, URL: w.URL.Reveal(), Body: body, Repeatable: true,
		Header: http.Header{"Content-Type": {"application/json"}, "User-Agent": {"df-middleware"}}, Timeout: 10 * time.Second,
	})
	if err != nil {
		return err
	}
	if answer.Status >= 300 {
		return &df.CallError{Upstream: "alerts", Operation: "tell an alert", Outcome: df.Refused, Status: answer.Status,
			Code: df.CodeInvalid, Message: "the receiver refuses it: check ALERT_WEBHOOK_URL"}
	}
	return nil
}

// level is the alert's severity, or info when it is over.
func level(a store.Alert) string {
	if a.State == Resolved {
		return "info"
	}
	return a.Severity
}

func title(a store.Alert) string {
	text := a.Rule
	if a.Subject != "" {
		text += " (" + a.Subject + ")"
	}
	if a.State == Resolved {
		return "Resolved: " + text
	}
	return strings.ToUpper(a.Severity[:1]) + a.Severity[1:] + ": " + text
}

func (w Webhook) link() string {
	if w.Console == "" {
		return ""
	}
	return w.Console + "/alerts"
}

// plain is the form of the original system, whose receivers go on working.
func (w Webhook) plain(a store.Alert) []byte {
	at := a.SeenAt
	if a.State == Resolved {
		at = a.ResolvedAt
	}
	return encoded(map[string]any{
		"level": level(a), "title": title(a), "message": a.Summary, "timestamp": at.UTC().Format(time.RFC3339),
		"metadata": map[string]any{
			"alertId": a.ID, "rule": a.Rule, "subject": a.Subject, "state": a.State, "times": a.Times,
			"openedAt": a.OpenedAt.UTC().Format(time.RFC3339), "url": w.link(),
		},
	})
}

var forSlack = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func (w Webhook) slack(a store.Alert) []byte {
	mark := map[string]string{"info": ":white_check_mark:", "warning": ":warning:", "critical": ":rotating_light:"}[level(a)]
	text := fmt.Sprintf("%s *%s*\n%s", mark, forSlack.Replace(title(a)), forSlack.Replace(a.Summary))
	if link := w.link(); link != "" {
		text += "\n<" + link + "|Open the console>"
	}
	return encoded(map[string]any{"text": text})
}

func encoded(body map[string]any) []byte {
	data, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("alerts: encode: %v", err)) // texts and numbers always encode
	}
	return data
}

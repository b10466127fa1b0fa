//go:build browser

package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/df-middleware/dfm/internal/console/browsertest"
	"github.com/df-middleware/dfm/internal/sandbox/llmworld"
)

// The chat page in a real browser, against the sandbox's language model: typing,
// streaming, tool cards, a question answered, stopping, and the page afterwards.
func TestThePageOfTheChatInARealBrowser(t *testing.T) {
	a, world := chatApp(t, databases()["sqlite"](t), nil)
	hold := make(chan struct{})
	world.LLM.Script(
		llmworld.Reply{Text: "I look at the widgets — one moment.", Calls: []llmworld.Call{
			{Name: "widgets_get", Arguments: `{"query":{"limit":2}}`}, {Name: "widgets_by_id_delete", Arguments: `{"path":{"id":"w1"}}`},
		}},
		llmworld.Reply{Text: "It is gone. <img src=x onerror=alert(1)>"},
		llmworld.Reply{Text: "Which kind of story?", Calls: []llmworld.Call{{Name: "offer_options", Arguments: `{"options":[{"label":"Long","intent":"a long one"},{"label":"Short","intent":"a short one"}]}`}}},
		llmworld.Reply{Text: "A very long story begins and goes on.", Hold: hold},
	)
	defer close(hold)
	b := browsertest.Open(t)
	css := func(selector string) chromedp.CSS { return chromedp.CSS(selector) }
	text := func() string { return browsertest.Evaluate[string](b, `document.getElementById("said").innerText`) }
	b.Dress(browsertest.Desk)
	b.SignIn(a.URL("web")+"/chat", "test-admin-secret", "#message")
	b.Shoot("chat-empty")
	b.Do("ask", chromedp.SendKeys(css("#message"), "delete w1\r"), chromedp.WaitVisible(css(`[data-decide="yes"]`)), chromedp.WaitVisible(css("#send:not([disabled])")))
	b.Shoot("chat-question")
	b.Do("approve", chromedp.Click(css(`[data-decide="yes"]`)), chromedp.WaitVisible(css("article.line:nth-of-type(3)")), chromedp.WaitVisible(css("#send:not([disabled])")))
	if n := world.Verity.CallsOf("delete widget"); n != 1 {
		t.Errorf("deleted %d; the page says %q", n, text())
	}
	b.Do("open a card", chromedp.Click(css(".tool summary")))
	b.Shoot("chat-done")
	b.Do("ask again", chromedp.SendKeys(css("#message"), "tell a story\r"), chromedp.WaitVisible(css("[data-intent]")), chromedp.WaitVisible(css("#send:not([disabled])")))
	b.Do("choose", chromedp.Click(css("[data-intent]")), chromedp.WaitVisible(css("#stop")), chromedp.WaitVisible(css("article.line:nth-of-type(7)")),
		chromedp.Click(css("#stop")), chromedp.WaitVisible(css("#said .error")))
	eventually(t, 10*time.Second, func() error { // the server notices a moment later
		list, err := a.store.Conversations(t.Context(), "admin", time.Time{}, 1)
		if err == nil && list[0].Turn != "" {
			err = context.DeadlineExceeded
		}
		return err
	})
	live := text()
	b.Dress(browsertest.Phone)
	b.Do("reload", chromedp.Reload(), chromedp.WaitVisible(css("#message")))
	b.Shoot("chat-phone")
	for _, want := range []string{"delete w1", "a long one", "It is gone. <img src=x onerror=alert(1)>", "A very", "widgets_by_id_delete"} {
		for when, said := range map[string]string{"as it came": live, "after a reload": text()} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: no %q in %q", when, want, said)
			}
		}
	}
	list, err := a.store.Conversations(t.Context(), "admin", time.Time{}, 1)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d conversations, %v", len(list), err)
	}
	b.Visit(a.URL("web") + "/chat/" + list[0].ID)
	b.Fill(browsertest.Form{Action: "/chat/" + list[0].ID + "/forget"})
	if left, err := a.store.Conversations(t.Context(), "admin", time.Time{}, 1); err != nil || len(left) > 0 {
		t.Errorf("%d conversations are left, %v", len(left), err)
	}
	b.Quiet("chat")
}

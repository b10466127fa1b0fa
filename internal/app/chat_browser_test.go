//go:build browser

package app

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

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
		llmworld.Reply{Text: "A very long story begins and goes on.", Hold: hold},
	)
	defer close(hold)
	path := os.Getenv("CHROMIUM")
	if path == "" {
		path = "chromium"
	}
	ctx, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)...)
	defer stop()
	ctx, leave := chromedp.NewContext(ctx)
	defer leave()
	ctx, end := context.WithTimeout(ctx, time.Minute)
	defer end()
	var mu sync.Mutex
	var complaints []string
	if err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok && (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) {
			mu.Lock()
			defer mu.Unlock()
			complaints = append(complaints, e.Entry.Text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	enable := func(ctx context.Context, target *chromedp.Target) (cdp.Empty, error) {
		return cdp.Call(ctx, target, log.Enable, cdp.Empty{})
	}
	if _, err := chromedp.Run(ctx, chromedp.Action[cdp.Empty](enable)); err != nil {
		t.Fatal(err)
	}
	css := func(selector string) chromedp.CSS { return chromedp.CSS(selector) }
	do := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	text := func() string {
		t.Helper()
		said, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.getElementById("said").innerText`))
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	shoot := func(name string) {
		t.Helper()
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err == nil {
			folder := filepath.Join("..", "..", "artifacts", "console")
			_ = os.MkdirAll(folder, 0o755)
			err = os.WriteFile(filepath.Join(folder, "chat-"+name+".png"), picture, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	do("sign in", chromedp.EmulateViewport(1280, 900), chromedp.Navigate(a.URL("web")+"/chat"), chromedp.WaitVisible(css("#secret")),
		chromedp.SendKeys(css("#secret"), "test-admin-secret\r"), chromedp.WaitVisible(css("#message")))
	shoot("empty")
	do("ask", chromedp.SendKeys(css("#message"), "delete w1\r"), chromedp.WaitVisible(css(`[data-decide="yes"]`)), chromedp.WaitVisible(css("#send:not([disabled])")))
	shoot("question")
	do("approve", chromedp.Click(css(`[data-decide="yes"]`)), chromedp.WaitVisible(css("article.line:nth-of-type(3)")), chromedp.WaitVisible(css("#send:not([disabled])")))
	if n := world.Verity.CallsOf("delete widget"); n != 1 {
		t.Errorf("deleted %d; the page says %q", n, text())
	}
	do("open a card", chromedp.Click(css(".tool summary")))
	shoot("done")
	do("ask again", chromedp.SendKeys(css("#message"), "tell a story\r"), chromedp.WaitVisible(css("#stop")), chromedp.WaitVisible(css("article.line:nth-of-type(5)")),
		chromedp.Click(css("#stop")), chromedp.WaitVisible(css("#said .error")))
	eventually(t, 10*time.Second, func() error { // the server notices a moment later
		list, err := a.store.Conversations(ctx, "admin", time.Time{}, 1)
		if err == nil && list[0].Turn != "" {
			err = context.DeadlineExceeded
		}
		return err
	})
	live := text()
	do("reload", chromedp.EmulateViewport(390, 844), chromedp.Reload(), chromedp.WaitVisible(css("#message")))
	shoot("phone")
	for _, want := range []string{"delete w1", "It is gone. <img src=x onerror=alert(1)>", "A very", "widgets_by_id_delete"} {
		for when, said := range map[string]string{"as it came": live, "after a reload": text()} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: no %q in %q", when, want, said)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if complaints != nil {
		t.Errorf("the browser complains: %q", complaints)
	}
}

//go:build browser

package app

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/df-middleware/dfm/internal/store"
)

// axeRules is the text of axe-core, which knows the rules of accessible pages. It
// is installed outside the source tree, where the console's tests have it too.
func axeRules(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs("../../artifacts/axe")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "node_modules", "axe-core", "axe.min.js")
	if _, err := os.Stat(file); err != nil {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if out, err := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--prefix", folder, "axe-core@4.10.3").CombinedOutput(); err != nil {
			t.Fatalf("install axe-core: %v\n%s", err, out)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The pages about the API in a real browser: light and dark, at the width of a desk
// and of a phone, by the rules of axe; and a call that is tried with the keyboard.
func TestThePagesOfToolsInARealBrowser(t *testing.T) {
	a, _, _ := toolWorld(t, nil)
	path := os.Getenv("CHROMIUM")
	if path == "" {
		path = "chromium"
	}
	rules := axeRules(t)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("hide-scrollbars", true))...)
	defer stop()
	ctx, leave := chromedp.NewContext(ctx)
	defer leave()
	ctx, end := context.WithTimeout(ctx, 4*time.Minute)
	defer end()
	css := func(selector string) chromedp.CSS { return chromedp.CSS(selector) }
	do := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	do("sign in", chromedp.Navigate(a.URL("web")+"/tools"), chromedp.WaitVisible(css("#secret")),
		chromedp.SendKeys(css("#secret"), "test-admin-secret\r"), chromedp.WaitVisible(css("#domain")))
	judge := func(name string) {
		t.Helper()
		found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](rules+`;axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
			.then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)))`, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, one := range found {
			t.Errorf("%s: %s", name, one)
		}
		sideways, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
		if err != nil || sideways > 0 {
			t.Errorf("%s scrolls sideways by %d pixels, %v", name, sideways, err)
		}
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err == nil {
			folder := filepath.Join("..", "..", "artifacts", "console")
			_ = os.MkdirAll(folder, 0o755)
			err = os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	pages := map[string]string{"tools": "/tools", "tool": "/tools/operations/widgets_create", "tool-read": "/tools/operations/widgets_by_id_get",
		"tool-clients": "/tools/clients", "tool-catalogue": "/tools/catalogue"}
	for _, look := range []struct {
		name, scheme  string
		width, height int64
	}{{"desk-light", "light", 1280, 900}, {"phone-dark", "dark", 390, 844}} {
		dress := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}}}
		dressing := func(ctx context.Context, target *chromedp.Target) (cdp.Empty, error) {
			return cdp.Call(ctx, target, emulation.SetEmulatedMedia, dress)
		}
		if _, err := chromedp.Run(ctx, chromedp.Action[cdp.Empty](dressing)); err != nil {
			t.Fatal(err)
		}
		do(look.name, chromedp.EmulateViewport(look.width, look.height))
		for name, at := range pages {
			do(name, chromedp.Navigate(a.URL("web")+at), chromedp.WaitReady(css("main")), chromedp.WaitReady(css("html.js")))
			judge(name + "-" + look.name)
		}
	}
	do("try", chromedp.Navigate(a.URL("web")+"/tools/operations/widgets_by_id_get"), chromedp.WaitVisible(css(`[name="path.id"]`)),
		chromedp.SendKeys(css(`[name="path.id"]`), "\r"), chromedp.WaitVisible(css("#result")))
	judge("tool-result-phone-dark")
	rows, err := a.store.AuditLog(ctx, 0, 20)
	if err != nil {
		t.Fatal(err)
	}
	tried := func(r store.AuditRow) bool { return r.Action == "mcp.call" && r.Target == "widgets_by_id_get" }
	if len(rows) == 0 || !tried(rows[0]) {
		t.Errorf("the audit log has %+v first", rows)
	}
}

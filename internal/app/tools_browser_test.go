//go:build browser

package app

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/df-middleware/dfm/internal/console/browsertest"
	"github.com/df-middleware/dfm/internal/store"
)

// The pages about the API in a real browser: light and dark, at the width of a desk
// and of a phone, by the rules of axe; and a call that is tried with the keyboard.
func TestThePagesOfToolsInARealBrowser(t *testing.T) {
	a, _, _ := toolWorld(t, nil)
	b := browsertest.Open(t)
	b.SignIn(a.URL("web")+"/tools", "test-admin-secret", "#domain")
	pages := map[string]string{"tools": "/tools", "tool": "/tools/operations/widgets_create", "tool-read": "/tools/operations/widgets_by_id_get",
		"tool-clients": "/tools/clients", "tool-catalogue": "/tools/catalogue"}
	judgePages(b, a.URL("web"), pages)
	b.Do("try a call", chromedp.Navigate(a.URL("web")+"/tools/operations/widgets_by_id_get"), chromedp.WaitVisible(chromedp.CSS(`[name="path.id"]`)),
		chromedp.SendKeys(chromedp.CSS(`[name="path.id"]`), "\r"), chromedp.WaitVisible(chromedp.CSS("#result")))
	b.Shoot("tool-result-phone-dark")
	b.Judge("tool-result")
	rows, err := a.store.AuditLog(t.Context(), 0, 20)
	if err != nil {
		t.Fatal(err)
	}
	tried := func(r store.AuditRow) bool { return r.Action == "mcp.call" && r.Target == "widgets_by_id_get" }
	if len(rows) == 0 || !tried(rows[0]) {
		t.Errorf("the audit log has %+v first", rows)
	}
}

// judgePages looks at the pages, which are addresses below the base by name, with a
// desk's light look and a phone's dark one.
func judgePages(b *browsertest.Browser, base string, pages map[string]string) {
	for _, look := range []browsertest.Look{browsertest.Desk, browsertest.PhoneDark} {
		b.Dress(look)
		for name, path := range pages {
			name += "-" + look.Name
			b.Visit(base + path)
			b.Shoot(name)
			b.Judge(name)
			b.Quiet(name)
		}
	}
}

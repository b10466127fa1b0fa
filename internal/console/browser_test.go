//go:build browser

package console_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/df-middleware/dfm/internal/console/browsertest"
	"github.com/df-middleware/dfm/internal/df"
)

func TestEveryPageInARealBrowserWithoutComplaints(t *testing.T) {
	w := newWorld(t)
	w.seed()
	b := browsertest.Open(t)
	b.Visit(w.URL + "/sign-in")
	b.Shoot("sign-in")
	b.Judge("sign-in")
	b.SignIn(w.URL+"/events", adminSecret, "#events")
	for _, look := range []browsertest.Look{browsertest.Desk, browsertest.DeskDark, browsertest.Phone, browsertest.PhoneDark} {
		b.Dress(look)
		for name, path := range w.pagesToSee() {
			name += "-" + look.Name
			b.Visit(w.URL + path)
			b.Shoot(name)
			if look != browsertest.PhoneDark { // its colours are those of dark, its places those of phone-light
				b.Judge(name)
			}
			b.Quiet(name)
		}
	}
}

func TestAnOperatorWorksInTheBrowser(t *testing.T) {
	w := newWorld(t)
	w.seed()
	b := browsertest.Open(t)
	b.SignIn(w.URL+"/events", adminSecret, "#events")
	b.Dress(browsertest.Phone)
	id := w.events["quarantined"]
	css := func(selector string) chromedp.CSS { return chromedp.CSS(selector) }
	b.Do("the menu opens on a phone and leads on",
		chromedp.Navigate(w.URL+"/events/"+id), chromedp.Click(css(".bar button")), chromedp.WaitVisible(css(`#menu a[href="/people"]`)),
		chromedp.Click(css(`#menu a[href="/people"]`)), chromedp.WaitVisible(css(`th a[href="/people/`+w.person+`"]`)))
	b.Do("a change is confirmed, with its reason typed",
		chromedp.Navigate(w.URL+"/events/"+id), chromedp.Click(css(`a[href$="/release"]`)), chromedp.WaitVisible(css("#reason")),
		chromedp.SendKeys(css("#reason"), "seen to\r"), chromedp.WaitVisible(css(".notice")))
	if got := w.status("quarantined"); got != df.Pending {
		t.Errorf("after the release the event is %s", got)
	}
	// The page refreshes itself when somebody else changes the event, and shows
	// times in the viewer's zone with UTC for hovering.
	w.must(w.store.CloseEvent(t.Context(), id, df.Done, "elsewhere", w.clock.now()))
	b.Do("look at the events", chromedp.Navigate(w.URL+"/events"), chromedp.WaitVisible(css("#events")))
	w.event("arrived-meanwhile", w.clock.now())
	b.Do("an event arrives meanwhile", chromedp.WaitVisible(css(`#events a[href="/events/`+w.events["arrived-meanwhile"]+`"]`)))
	if !browsertest.Evaluate[bool](b, `(e => e.title.endsWith(" UTC") && !e.textContent.includes("UTC"))(document.querySelector("#events time"))`) {
		t.Error("times are not localised")
	}
	b.Quiet("at work")
}

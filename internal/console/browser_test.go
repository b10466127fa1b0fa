//go:build browser

package console_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/df-middleware/dfm/internal/df"
)

// artifacts is where screenshots go. Git ignores it.
const artifacts = "../../artifacts/console"

// chrome starts a browser of its own. What its pages complain about is what
// complaints returns.
func chrome(t *testing.T) (ctx context.Context, complaints func() []string) {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	if path == "" {
		path = "chromium"
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, leave := chromedp.NewContext(ctx)
	t.Cleanup(leave)
	ctx, end := context.WithTimeout(ctx, 8*time.Minute)
	t.Cleanup(end)
	var mu sync.Mutex
	var said []string
	complain := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, text)
	}
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			complain("exception: " + e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
				complain("console: " + string(e.Type))
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
				complain(e.Entry.Text + " " + e.Entry.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(ctx, command(log.Enable, cdp.Empty{})); err != nil {
		t.Fatal(err)
	}
	return ctx, func() []string {
		mu.Lock()
		defer mu.Unlock()
		heard := said
		said = nil
		return heard
	}
}

// command makes an action of a command of the browser's protocol.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[R] {
	return func(ctx context.Context, target *chromedp.Target) (R, error) { return cdp.Call(ctx, target, c, params) }
}

// look is one way of looking at the pages.
type look struct {
	name          string
	scheme        string
	width, height int64
}

var looks = []look{
	{"light", "light", 1280, 900}, {"dark", "dark", 1280, 900}, {"phone-light", "light", 390, 844}, {"phone-dark", "dark", 390, 844},
}

// shoot goes to a page, waits until its script is done, and takes a picture of
// all of it.
func shoot(t *testing.T, ctx context.Context, address, name string) {
	t.Helper()
	ctx, end := context.WithTimeout(ctx, 20*time.Second)
	defer end()
	err := chromedp.Do(ctx, chromedp.Navigate(address), chromedp.WaitReady(chromedp.CSS("main")), chromedp.WaitReady(chromedp.CSS("html.js")))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	sideways, err := chromedp.Run(ctx, chromedp.Evaluate[int64](
		`Math.max(...[document.documentElement, ...document.querySelectorAll(".card")].map(e => e.scrollWidth - e.clientWidth))`))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if sideways > 0 {
		t.Errorf("%s scrolls sideways by %d pixels", name, sideways)
	}
	if err := os.WriteFile(filepath.Join(artifacts, name+".png"), picture, 0o600); err != nil {
		t.Fatal(err)
	}
}

// axe installs axe-core, which knows the rules of accessible pages, outside the
// source tree, and returns its text.
func axe(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs("../../artifacts/axe")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "node_modules", "axe-core", "axe.min.js")
	if _, err := os.Stat(file); err != nil {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
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

// judge has axe look at the page that is shown, and fails the test with what it
// finds.
func judge(t *testing.T, ctx context.Context, axe, name string) {
	t.Helper()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](axe+`;axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
		.then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, one := range found {
		t.Errorf("%s: %s", name, one)
	}
}

// signInAt signs the browser in with its keyboard.
func signInAt(t *testing.T, ctx context.Context, w *world) {
	t.Helper()
	err := chromedp.Do(ctx, chromedp.Navigate(w.URL+"/events"), chromedp.WaitVisible(chromedp.CSS("#secret")),
		chromedp.SendKeys(chromedp.CSS("#secret"), adminSecret+"\r"), chromedp.WaitVisible(chromedp.CSS("#events")))
	if err != nil {
		t.Fatal(err)
	}
	title, err := chromedp.Run(ctx, chromedp.Title())
	if err != nil || !strings.HasPrefix(title, "Events") {
		t.Fatalf("after the sign-in: %q, %v", title, err)
	}
}

func TestEveryPageInARealBrowserWithoutComplaints(t *testing.T) {
	w := newWorld(t)
	w.seed()
	if err := os.MkdirAll(artifacts, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, complaints := chrome(t)
	rules := axe(t)
	shoot(t, ctx, w.URL+"/sign-in", "sign-in")
	judge(t, ctx, rules, "sign-in")
	signInAt(t, ctx, w)
	for _, how := range looks {
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(how.width, how.height)); err != nil {
			t.Fatal(err)
		}
		dress := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: how.scheme}}}
		if _, err := chromedp.Run(ctx, command(emulation.SetEmulatedMedia, dress)); err != nil {
			t.Fatal(err)
		}
		for name, path := range w.pagesToSee() {
			shoot(t, ctx, w.URL+path, name+"-"+how.name)
			if how.name != "phone-dark" { // its colours are those of dark, its places those of phone-light
				judge(t, ctx, rules, name+"-"+how.name)
			}
			if heard := complaints(); heard != nil {
				t.Errorf("%s, %s: the browser complains: %q", name, how.name, heard)
			}
		}
	}
}

func TestAnOperatorWorksInTheBrowser(t *testing.T) {
	w := newWorld(t)
	w.seed()
	ctx, complaints := chrome(t)
	signInAt(t, ctx, w)
	id := w.events["quarantined"]
	css := func(selector string) chromedp.CSS { return chromedp.CSS(selector) }
	err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 844),
		// The menu opens on a phone and leads on.
		chromedp.Navigate(w.URL+"/events/"+id), chromedp.Click(css(".bar button")), chromedp.WaitVisible(css(`#menu a[href="/people"]`)),
		chromedp.Click(css(`#menu a[href="/people"]`)), chromedp.WaitVisible(css(`th a[href="/people/`+w.person+`"]`)),
		// A change is confirmed, with its reason typed.
		chromedp.Navigate(w.URL+"/events/"+id), chromedp.Click(css(`a[href$="/release"]`)), chromedp.WaitVisible(css("#reason")),
		chromedp.SendKeys(css("#reason"), "seen to\r"), chromedp.WaitVisible(css(".notice")),
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.status("quarantined"); got != df.Pending {
		t.Errorf("after the release the event is %s", got)
	}
	// The page refreshes itself when somebody else changes the event, and shows
	// times in the viewer's zone with UTC for hovering.
	w.must(w.store.CloseEvent(ctx, id, df.Done, "elsewhere", w.clock.now()))
	if err := chromedp.Do(ctx, chromedp.Navigate(w.URL+"/events"), chromedp.WaitVisible(css("#events"))); err != nil {
		t.Fatal(err)
	}
	w.event("arrived-meanwhile", w.clock.now())
	if err := chromedp.Do(ctx, chromedp.WaitVisible(css(`#events a[href="/events/`+w.events["arrived-meanwhile"]+`"]`))); err != nil {
		t.Fatal(err)
	}
	shown, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(e => e.title.endsWith(" UTC") && !e.textContent.includes("UTC"))(document.querySelector("#events time"))`))
	if err != nil || !shown {
		t.Errorf("times are not localised: %v", err)
	}
	if heard := complaints(); heard != nil {
		t.Errorf("the browser complains: %q", heard)
	}
}

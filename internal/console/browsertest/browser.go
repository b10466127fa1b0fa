//go:build browser

package browsertest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Browser is a Chromium of one test, with one page.
type Browser struct {
	t    *testing.T
	ctx  context.Context
	axe  string // the text of axe-core
	look Look

	mu   sync.Mutex
	said []string
}

// Open starts a browser that ends with the test, and listens to what its pages
// complain about.
func Open(t *testing.T) *Browser {
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
	b := &Browser{t: t, ctx: ctx, axe: axeCore(t), look: Desk}
	err := chromedp.Listen(ctx, b.hear)
	if err == nil { // the first command starts the browser, which lives as long as its context
		err = chromedp.Do(ctx, act(log.Enable, cdp.Empty{}))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hear keeps what a page complains about: exceptions, errors and warnings.
func (b *Browser) hear(event any) {
	text := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = "exception: " + e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text = "console: " + string(e.Type)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	}
	if text == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, text)
}

// Quiet fails the test when a page has complained since it was last asked. The
// page that is shown is named in the failure.
func (b *Browser) Quiet(page string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.said != nil {
		b.t.Errorf("%s: the browser complains: %q", page, b.said)
	}
	b.said = nil
}

// patience is how long something on a page may take.
const patience = 20 * time.Second

// Do carries out the actions, and ends the test when one cannot be carried out
// within patience.
func (b *Browser) Do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, end := context.WithTimeout(b.ctx, patience)
	defer end()
	if err := chromedp.Do(ctx, actions...); err != nil {
		_ = b.picture("failed") // what went wrong is said below
		b.t.Fatalf("%s: %v (failed.png shows the page)", what, err)
	}
}

// SignIn opens the page at the address, which asks who is there, answers with the
// admin secret by keyboard, and waits until the element of that page is shown.
func (b *Browser) SignIn(address, secret, element string) {
	b.t.Helper()
	b.Do("sign in", chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("#secret")),
		chromedp.SendKeys(chromedp.CSS("#secret"), secret+"\r"), chromedp.WaitVisible(chromedp.CSS(element)))
}

// Evaluate returns what the script gives on the page that is shown, a promise's
// value when it gives a promise, and ends the test when it throws.
func Evaluate[T any](b *Browser, script string) T {
	b.t.Helper()
	ctx, end := context.WithTimeout(b.ctx, patience)
	defer end()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("evaluate on the page: %v", err)
	}
	return got
}

// Look is one way of looking at pages. Sizes are in pixels.
type Look struct {
	Name          string
	Scheme        string // light or dark
	Width, Height int64
	rules         string // of axe, by which it is judged
}

// Every rule takes twice the time of the colours' alone or of all but the colours'.
const (
	everyRule   = `runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	onlyColours = `runOnly: {type: "rule", values: ["color-contrast"]}`
	noColours   = everyRule + `, rules: {"color-contrast": {enabled: false}}`
)

// The looks at which pages are judged: a desk and a phone, in both colours. Who
// judges a page at a desk need not judge again what is the same in the dark or on a
// phone, and DeskDark and Phone do not.
var (
	Desk      = Look{"light", "light", 1280, 900, everyRule}
	DeskDark  = Look{"dark", "dark", 1280, 900, onlyColours}
	Phone     = Look{"phone-light", "light", 390, 844, noColours}
	PhoneDark = Look{"phone-dark", "dark", 390, 844, everyRule}
)

// Dress makes the pages that follow look so.
func (b *Browser) Dress(look Look) {
	b.t.Helper()
	dress := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.Scheme}}}
	b.look = look
	b.Do(look.Name, chromedp.EmulateViewport(look.Width, look.Height), act(emulation.SetEmulatedMedia, dress))
}

// Visit goes to the page at the address and waits until its script is done.
func (b *Browser) Visit(address string) {
	b.t.Helper()
	b.Do(address, chromedp.Navigate(address), chromedp.WaitReady(chromedp.CSS("main")), chromedp.WaitReady(chromedp.CSS("html.js")))
}

// Shoot takes a picture of the whole page that is shown, into the folder
// artifacts/console, and fails the test when the page or one of its cards is wider
// than what shows it.
func (b *Browser) Shoot(name string) {
	b.t.Helper()
	wide := Evaluate[int64](b, `Math.max(...[document.documentElement, ...document.querySelectorAll(".card")].map(e => e.scrollWidth - e.clientWidth))`)
	if wide > 0 {
		b.t.Errorf("%s scrolls sideways by %d pixels", name, wide)
	}
	if err := b.picture(name); err != nil {
		b.t.Fatalf("%s: %v", name, err)
	}
}

func (b *Browser) picture(name string) error {
	b.t.Helper()
	ctx, end := context.WithTimeout(b.ctx, patience)
	defer end()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return err
	}
	folder := filepath.Join(root(b.t), "artifacts", "console")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600)
}

// Judge has axe look at the page that is shown, by the rules of the look, and fails
// the test with what it finds.
func (b *Browser) Judge(name string) {
	b.t.Helper()
	for _, fault := range b.faults() {
		b.t.Errorf("%s: %s", name, fault)
	}
}

func (b *Browser) faults() []string {
	b.t.Helper()
	return Evaluate[[]string](b, b.axe+`;axe.run(document, {`+b.look.rules+`})
		.then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)))`)
}

// act makes an action of a command of the browser's protocol that answers nothing.
func act[P any](c cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, c, params)
		return chromedp.Void{}, err
	}
}

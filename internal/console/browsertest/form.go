//go:build browser

package browsertest

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/chromedp/chromedp"
)

// Form is a form of a page that changes something, and what somebody does with it.
type Form struct {
	Action string            // the address that it posts to
	Fields map[string]string // what is typed or chosen, by the names of its fields
	Press  string            // a selector of the button within the form; "" for the first
	Shows  string            // a selector of what the next page shows; "" for a notice
}

// prepare finds the field of a form by its name, and with boxes by value too. Boxes
// are ticked and choices made; what is to be typed into is focused, with all of its
// text marked. It answers whether something is to be typed.
const prepare = `(action, name, value) => {
	const form = [...document.forms].find(f => f.method === "post" && f.getAttribute("action") === action);
	const all = [...form.elements].filter(e => e.name === name);
	const box = all.find(e => (e.type === "checkbox" || e.type === "radio") && e.value === value);
	if (box) { if (!box.checked) box.click(); return false; }
	const field = all[0];
	if (!field) throw new Error("the form of " + action + " has no field " + name);
	if (field.tagName === "SELECT") {
		field.value = value;
		field.dispatchEvent(new Event("change", {bubbles: true}));
		return false;
	}
	field.focus();
	field.select();
	return true;
}`

// Fill opens every fold of the page, fills the form in and sends it, as somebody
// does who has a keyboard and a mouse, and waits for the page that follows.
func (b *Browser) Fill(form Form) {
	b.t.Helper()
	// The page that follows is told by the mark that it lacks.
	Evaluate[bool](b, `(document.documentElement.dataset.before = "yes", document.querySelectorAll("details").forEach(d => d.open = true), true)`)
	for _, name := range slices.Sorted(maps.Keys(form.Fields)) {
		arguments, err := json.Marshal([]string{form.Action, name, form.Fields[name]})
		if err != nil {
			b.t.Fatal(err)
		}
		if Evaluate[bool](b, "("+prepare+")(..."+string(arguments)+")") {
			b.Do("type "+name, chromedp.KeyEvent(form.Fields[name]))
		}
	}
	press, shows := form.Press, form.Shows
	if press == "" {
		press = "button"
	}
	if shows == "" {
		shows = ".notice"
	}
	b.Do("send the form of "+form.Action, chromedp.Click(chromedp.CSS(`form[method="post"][action="`+form.Action+`"] `+press)), chromedp.WaitVisible(chromedp.CSS("html:not([data-before]) "+shows)))
}

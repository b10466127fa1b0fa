package app

import (
	"net/http"
	"net/url"

	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/retention"
)

// erasePages adds to the console the erasure of a person, for administrators.
func (a *App) erasePages(b *console.Book) {
	b.SeeAsAdmin("/people/{id}/erase", a.erasePage)
	b.ChangeAsAdmin("/people/{id}/erase", a.eraseByForm)
}

type eraseView struct {
	Asked string // the id that the page was asked for
	retention.Erasure
}

// erasePage says what an erasure would come to, and asks for the id and a reason.
func (a *App) erasePage(r *http.Request) (console.Page, error) {
	id := r.PathValue("id")
	found, err := eraser(a.store, a.clock).Count(r.Context(), id)
	return console.Page{Template: "erase.html", Title: "Erase a person", Section: "people", Data: eraseView{id, found}}, err
}

func (a *App) eraseByForm(r *http.Request) (console.Page, error) {
	form := r.PostForm
	done, err := a.erase(asVisitor(r), r.PathValue("id"), form.Get("confirm"), form.Get("reason"))
	return console.Page{Redirect: "/people/" + url.PathEscape(done.PersonID), Notice: "The person was erased."}, err
}

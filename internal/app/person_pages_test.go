package app

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/store"
)

// A person is read at both sides, explained, and erased for good by whoever types
// the id and says why.
func TestAPersonIsReadExplainedAndErasedFromThePage(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		s := newSwept(t, databaseURL, 1)
		id := s.personOf(s.people[0])
		s.must(s.world.GHL.EditContact(s.people[0].id, map[string]string{"city": "Waco"}))
		s.lose()
		b := s.browser()
		at := "/people/" + id
		holds(t, b.get(at), "Side by side", "Erase", "who changed it; GoHighLevel where both did")
		holds(t, b.post(at, at+"/read", url.Values{}), "GoHighLevel now", "Waco", "waiting")
		holds(t, b.get(at+"/why?question=texted"), "upstream.verity", "consent.opt_out")
		holds(t, b.get(at+"/why?question=listed"), "upstream.aloware", "breaker and budget")
		page := b.get(at + "/erase")
		holds(t, page, "contact_mappings", "Type the id", "Erase for good")
		for _, form := range []url.Values{{"confirm": {"yes"}, "reason": {"letter of 3 May"}}, {"confirm": {id}, "reason": {" "}}} {
			if got := b.status(at+"/erase", at+"/erase", form); got != http.StatusBadRequest {
				t.Errorf("%v: %d", form, got)
			}
		}
		if _, err := store.PersonByID(t.Context(), s.app.store, id); err != nil {
			t.Fatalf("erased without the id and a reason: %v", err)
		}
		gone := b.post(at+"/erase", at+"/erase", url.Values{"confirm": {id}, "reason": {"letter of 3 May"}})
		holds(t, gone, "The person was erased", "This person was erased", "letter of 3 May", "admin")
		if _, err := store.PersonByID(t.Context(), s.app.store, id); err == nil {
			t.Error("the person is there still")
		}
		if page := b.get(at); strings.Contains(page, s.people[0].phone) || strings.Contains(page, "Waco") {
			t.Error("the page of an erased person shows what was known")
		}
	})
}

// status posts a form of the page and returns what it answers.
func (b browser) status(page, path string, form url.Values) int {
	b.Helper()
	token := csrfField.FindStringSubmatch(b.get(page))
	form.Set("csrf", token[1])
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, b.app.URL("web")+path, strings.NewReader(form.Encode()))
	b.must(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := b.http.Do(request)
	b.must(err)
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode
}

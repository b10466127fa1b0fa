package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
)

// Found by the storm: GHL changes a number; at Aloware that makes a new contact,
// whose announcement is handled before our own write is recorded and makes a
// person of it. The record then failed for ever with "another active person has
// this contact".
func TestANumberThatChangesIsFollowedThoughItsAnnouncementComesFirst(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world := newWorld(t, sandbox.Config{})
		a := build(t, world, databaseURL, time.Now, nil)
		start(t, world, a)
		const before, after = "+12025550131", "+12025550132"
		contact, err := world.GHL.CreateContact(map[string]string{"firstName": "Ada", "phone": before})
		if err != nil {
			t.Fatal(err)
		}
		settle(t, world, a)
		people := func() (n int64) {
			if err := a.store.Row(t.Context(), `SELECT count(*) FROM contact_mappings`).Scan(&n); err != nil {
				t.Error(err)
			}
			return n
		}
		waited := make(chan struct{}, 1)
		waited <- struct{}{}
		world.Aloware.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			_, there := world.Aloware.Contact(after)
			if !there || r.Method != http.MethodGet || !strings.Contains(r.URL.RawQuery, after[1:]) {
				return false
			}
			select {
			case <-waited: // the new contact is there; its announcement goes first
				eventually(t, 10*time.Second, func() error {
					if n := people(); n < 2 {
						return fmt.Errorf("%d people", n)
					}
					return nil
				})
			default:
			}
			return false
		})
		if err := world.GHL.EditContact(contact.ID, map[string]string{"phone": after}); err != nil {
			t.Fatal(err)
		}
		settle(t, world, a)
		if people() < 2 {
			t.Fatal("the announcement did not come first; the test looked at nothing")
		}
		// A late word about the old number's contact makes nobody new.
		if err := world.Aloware.EditContact(before, map[string]string{"city": "Waco"}); err != nil {
			t.Fatal(err)
		}
		settle(t, world, a)
		var active int64
		err = a.store.Row(t.Context(), `SELECT count(*) FROM contact_mappings WHERE ended_at IS NULL
			AND ghl_contact_id = $1 AND phone_number = $2`, contact.ID, after).Scan(&active)
		if err != nil || active != 1 {
			t.Errorf("%d active people with the new number, %v", active, err)
		}
		if n := len(world.GHL.Contacts()); n != 1 {
			t.Errorf("one person is %d contacts in GHL", n)
		}
	})
}

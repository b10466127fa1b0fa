package store_test

import (
	"maps"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// What is sealed is counted wherever it is kept, by the key that its beginning
// names; an empty value is none.
func TestSealedValuesAreCountedByTheirKeys(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for name, sealed := range map[string]string{"one": "v1.AAAA.x", "two": "v1.BBBB.y", "none": ""} {
			if _, _, err := s.LeaseToken(t.Context(), name, "me", noon, noon.Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if err := s.SaveToken(t.Context(), name, "me", store.SharedToken{Sealed: sealed, ExpiresAt: noon}, noon); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Exec(t.Context(), `INSERT INTO ghl_oauth_tokens (location_id, access_token, refresh_token, scope, expires_at, created_at, updated_at)
			VALUES ('loc1', 'v1.AAAA.p', 'v1.AAAA.q', '', $1, $1, $1)`, noon); err != nil {
			t.Fatal(err)
		}
		got, err := s.SealedValues(t.Context(), len("v1.AAAA"))
		if want := map[string]int64{"v1.AAAA": 3, "v1.BBBB": 1}; err != nil || !maps.Equal(got, want) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	})
}

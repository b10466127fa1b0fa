package app

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestARemoteIsWhoTheTrustedProxySaysAndNobodyElse(t *testing.T) {
	t.Parallel()
	config, err := Load(func(name string) (string, bool) {
		return map[string]string{"DFM_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1"}[name], name == "DFM_TRUSTED_PROXIES"
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &App{config: config}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"203.0.113.9:1234", "198.51.100.7", "203.0.113.9:1234"},
		{"10.1.2.3:1234", "198.51.100.7", "198.51.100.7"},
		{"10.1.2.3:1234", "1.1.1.1, 198.51.100.7, 10.9.9.9", "198.51.100.7"},
		{"192.0.2.1:80", "junk, 198.51.100.7", "198.51.100.7"},
		{"192.0.2.1:80", "198.51.100.7, junk", "192.0.2.1:80"},
		{"192.0.2.1:80", "", "192.0.2.1:80"},
		{"[::ffff:10.1.2.3]:80", "2001:db8::1", "2001:db8::1"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = c.peer
		r.Header.Set("X-Forwarded-For", c.forwarded)
		if got := a.remote(r); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

package auth

import (
	"encoding/json"
	"errors"
	"testing"
)

// Clerk signs the access tokens of every OAuth application of an instance with
// the same keys: only those that name us, or come from an application of ours,
// are for us.
func TestOAuthTokensAreTakenOnlyWhereAndForWhomTheyAreMeant(t *testing.T) {
	v := testVerifier(t, func(c *VerifierConfig) {
		c.OAuth = OAuth{Resource: "https://dfm.example.test/mcp", Clients: []string{"client_ours"}}
	})
	claims := func(change fields) fields {
		c := fields{"iss": testIssuer, "sub": "user_1", "client_id": "client_other", "exp": testNow.Unix() + 50, "iat": testNow.Unix()}
		for name, value := range change {
			c[name] = value
		}
		return c
	}
	for _, c := range []struct {
		title  string
		typ    string
		claims fields
		accept Accept
		want   string // reason; empty when it is good
	}{
		{"of our application", "at+jwt", claims(fields{"client_id": "client_ours"}), AnyCaller, ""},
		{"for our resource", "application/at+jwt", claims(fields{"aud": []string{"https://x.example.test", "https://dfm.example.test/mcp"}}), AnyCaller, ""},
		{"of another application", "at+jwt", claims(nil), AnyCaller, ReasonParty},
		{"for another resource", "at+jwt", claims(fields{"aud": "https://x.example.test/mcp"}), AnyCaller, ReasonParty},
		{"where only sessions will do", "at+jwt", claims(fields{"client_id": "client_ours"}), SessionOnly, ReasonType},
		{"at the gateway", "at+jwt", claims(fields{"client_id": "client_ours"}), SessionOrMachine, ReasonType},
		{"expired", "at+jwt", claims(fields{"client_id": "client_ours", "exp": testNow.Unix() - 10}), AnyCaller, ReasonExpired},
		{"without an end", "at+jwt", claims(fields{"client_id": "client_ours", "exp": nil}), AnyCaller, ReasonNoExpiry},
		{"of another instance", "at+jwt", claims(fields{"client_id": "client_ours", "iss": "https://clerk.other.test"}), AnyCaller, ReasonIssuer},
		{"of a machine", "at+jwt", claims(fields{"client_id": "client_ours", "sub": "mch_1"}), AnyCaller, ReasonSubject},
		{"a session that names an application", "JWT", claims(fields{"client_id": "client_ours"}), AnyCaller, ReasonSession},
	} {
		header := goodHeader()
		header["typ"] = c.typ
		head, _ := json.Marshal(header)
		body, _ := json.Marshal(c.claims)
		id, err := v.Verify(t.Context(), sign(t, rsaKey(0), string(head), string(body)), c.accept)
		var refused *TokenError
		switch {
		case c.want == "" && (err != nil || id.Subject != "user_1"):
			t.Errorf("%s: %+v, %v", c.title, id, err)
		case c.want != "" && (!errors.As(err, &refused) || refused.Reason != c.want):
			t.Errorf("%s: %v, want %s", c.title, err, c.want)
		}
	}
	// Without a word about OAuth in the settings there is none.
	none := testVerifier(t, nil)
	header := goodHeader()
	header["typ"] = "at+jwt"
	head, _ := json.Marshal(header)
	body, _ := json.Marshal(claims(fields{"client_id": "", "aud": ""}))
	if _, err := none.Verify(t.Context(), sign(t, rsaKey(0), string(head), string(body)), AnyCaller); err == nil {
		t.Error("a token of no application is taken")
	}
}

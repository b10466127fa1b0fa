package toolset

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Ours loses none where others lose 29 of GitHub's 1,223 to name clashes.
func TestNoOperationOfALargeCatalogueIsLost(t *testing.T) {
	c := parse(t, largeDocument(1200))
	started := time.Now()
	set := New(c, Filter{}, "search_operations")
	t.Logf("%d tools of %d bytes in %v", len(set.Tools), set.Bytes, time.Since(started))
	equal(t, "tools", len(set.Tools), 1200)
	seen := map[string]bool{}
	for _, one := range set.Tools {
		if !legalName.MatchString(one.Name) {
			t.Errorf("illegal name %q", one.Name)
		}
		seen[one.Operation.Method+" "+one.Operation.Path] = true
		if !json.Valid(one.InputSchema) || len(one.InputSchema) > 4<<10 {
			t.Errorf("%s: a schema of %d bytes", one.Name, len(one.InputSchema))
		}
	}
	equal(t, "operations", len(seen), 1200)
}

func TestASchemaThatCannotBeReadCostsOnlyItself(t *testing.T) {
	c := parse(t, openAPI(`"/api/x/{id}":{"post":{"x-mcp-arguments":"body","parameters":[],"requestBody":{"content":{"application/json":{"schema":{"type":"string"}}}},"responses":{}}},
		"/api/flat":{"post":{"x-mcp-arguments":"body","requestBody":{"content":{"application/json":{"schema":{"type":"string"}}}},"responses":{}}},
		"/api/y":{"get":{"responses":{}}}`, ""))
	set := New(c, Filter{})
	equal(t, "tools", len(set.Tools), 3)
	flat := tool(t, set, "POST", "/api/flat")
	contains(t, "description", flat.Description, "cannot be read")
	if err := flat.Check(json.RawMessage(`{"body":"x"}`)); err != nil {
		t.Error(err)
	}
}

func TestSchemasThatCannotBeCompiledStillCheckNames(t *testing.T) {
	one := only(t, openAPI(`"/api/x":{"post":{"parameters":[{"name":"q","in":"query","required":true,"schema":{"type":"nonsense"}}],
		"requestBody":{"content":{"application/json":{"schema":{"type":"object"}}}},"responses":{}}}`, ""))
	for arguments, fits := range map[string]bool{`{"query":{"q":1},"body":{}}`: true, `{"query":{}}`: false, `{"query":{"q":1,"z":2}}`: false, `{"z":1}`: false} {
		equal(t, arguments, one.Check(json.RawMessage(arguments)) == nil, fits)
	}
	// A pattern of JavaScript's that Go cannot read does not lose the rest.
	pattern := only(t, openAPI(`"/api/x":{"get":{"parameters":[{"name":"q","in":"query","schema":{"type":"string","pattern":"^(?!no).*$"}}],"responses":{}}}`, ""))
	equal(t, "text", pattern.Check(json.RawMessage(`{"query":{"q":"no"}}`)) == nil, true)
	equal(t, "number", pattern.Check(json.RawMessage(`{"query":{"q":1}}`)) == nil, false)
}

func TestFiltersNarrowTheSetAndKeepTheNames(t *testing.T) {
	c := parse(t, openAPI(`"/api/a/one":{"get":{"tags":["First"],"responses":{}},"post":{"tags":["First"],"responses":{}}},
		"/api/b/two":{"get":{"tags":["Second","Extra"],"responses":{}},"delete":{"tags":["Second"],"responses":{}}}`, ""))
	all := New(c, Filter{})
	cases := map[string]struct {
		filter Filter
		want   string
	}{
		"everything": {Filter{}, "First_a_one_create First_a_one_get Second_b_two_delete Second_b_two_get"},
		"read only":  {Filter{ReadOnly: true}, "First_a_one_get Second_b_two_get"},
		"a domain":   {Filter{Domains: []string{"second"}}, "Second_b_two_delete Second_b_two_get"},
		"a tag":      {Filter{Tags: []string{"extra"}}, "Second_b_two_get"},
		"a method":   {Filter{Methods: []string{"post"}}, "First_a_one_create"},
		"nothing":    {Filter{Domains: []string{"none"}}, ""},
	}
	for name, c := range cases {
		var names []string
		for _, one := range all.Tools {
			if c.filter.Allows(one) {
				names = append(names, one.Name)
			}
		}
		equal(t, name, strings.Join(names, " "), c.want)
	}
	equal(t, "a nil catalogue", len(New(nil, Filter{}).Tools), 0)
}

func TestSearchFindsWhatWasMeant(t *testing.T) {
	set := New(parse(t, `{"version":"1","endpoints":[
		{"path":"/api/comms/contacts","methods":["GET","POST"],"description":"List or create contacts"},
		{"path":"/api/comms/contacts/{contactId}","methods":["PATCH"],"description":"Change one"},
		{"path":"/api/comms/broadcasts/{id}/analytics","methods":["GET"],"description":"How a broadcast went: delivered, failed"},
		{"path":"/api/calls/agents/{agentId}/test-call","methods":["POST"],"description":"Places a call with an agent"},
		{"path":"/api/deals","methods":["GET"],"description":"Every deal has contacts"}]}`), Filter{})
	for query, want := range map[string]string{
		"create contact":       "comms_contacts_create",
		"broadcast analytics":  "comms_broadcasts_by_id_analytics_get",
		"place a test call":    "calls_agents_by_agentId_test-call_create",
		"testCall":             "calls_agents_by_agentId_test-call_create",
		"deals":                "deals_get",
		"PATCH contacts":       "comms_contacts_by_contactId_patch",
		"delivered and failed": "comms_broadcasts_by_id_analytics_get",
	} {
		found, _ := set.Search(Query{Text: query})
		if len(found) == 0 {
			t.Errorf("%q finds nothing", query)
			continue
		}
		equal(t, query, found[0].Name, want)
	}
	found, total := set.Search(Query{Limit: 2})
	equal(t, "all", total, 6)
	equal(t, "limit", len(found), 2)
	_, total = set.Search(Query{Text: "zzz"})
	equal(t, "nothing", total, 0)
	_, total = set.Search(Query{Domain: "COMMS", Method: "get"})
	equal(t, "by domain and method", total, 2)
}

func BenchmarkSearchLarge(b *testing.B) {
	set := New(parse(b, largeDocument(1200)), Filter{})
	b.ReportAllocs()
	for b.Loop() {
		if _, total := set.Search(Query{Text: "thing parts area7"}); total == 0 {
			b.Fatal("nothing found")
		}
	}
}

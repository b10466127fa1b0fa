package toolset

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

var legalName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,56}$`)

func TestNamesSayDomainResourceAndAction(t *testing.T) {
	long := strings.Repeat("very-long-segment/", 6)
	cases := []struct{ method, path, domain, want string }{
		{"GET", "/api/warehouse/pallets", "warehouse", "warehouse_pallets_get"},
		{"POST", "/api/warehouse/pallets", "warehouse", "warehouse_pallets_create"},
		{"GET", "/api/warehouse/pallets/{palletId}", "warehouse", "warehouse_pallets_by_palletId_get"},
		{"DELETE", "/api/warehouse/pallets/{palletId}", "warehouse", "warehouse_pallets_by_palletId_delete"},
		// The original read an action out of the path: a list of removed items
		// was called "delete" and went to DELETE.
		{"GET", "/api/warehouse/removed-items", "warehouse", "warehouse_removed-items_get"},
		{"GET", "/api/newsletters", "newsletters", "newsletters_get"},
		{"POST", "/api/agents/{agentId}/test-call", "agents", "agents_by_agentId_test-call_create"},
		{"GET", "/api", "root", "root_get"},
		{"GET", "/api/files/{base}...{head}", "files", "files_base-head_get"},
		{"GET", "/api/Straße/ü", "Straße", "Stra-e_get"},
		{"GET", "/api/" + long + "end", "very", "very_very-long-segment_very-long-segment_very-lon_" + "??????"},
	}
	for _, c := range cases {
		op := &catalogue.Operation{Method: c.method, Path: c.path, Domain: c.domain}
		got := namesOf([]*catalogue.Operation{op}, nil)[0]
		if strings.HasSuffix(c.want, "??????") {
			c.want = c.want[:len(c.want)-6] + got[len(got)-6:]
		}
		equal(t, c.method+" "+c.path, got, c.want)
	}
}

func TestADocumentMayChooseNames(t *testing.T) {
	one := only(t, openAPI(`"/api/x":{"get":{"x-mcp-name":"look up!","responses":{}}}`, ""))
	equal(t, "name", one.Name, "look-up")
}

// The original dropped 71 of 377 operations whose names were taken already.
func TestClashingNamesKeepTheirOperations(t *testing.T) {
	operations := []*catalogue.Operation{
		{Method: "GET", Path: "/api/a/b-c", Domain: "a"},
		{Method: "GET", Path: "/api/a/b!c", Domain: "a"},
		{Method: "GET", Path: "/api/a/B-C", Domain: "a"},
		{Method: "GET", Path: "/api/search/operations", Domain: "search"},
	}
	names := namesOf(operations, []string{"search_operations_get"})
	slices.Sort(names)
	equal(t, "different names", len(slices.Compact(names)), 4)
	for _, name := range names {
		if !strings.Contains(name, "_get_") {
			t.Errorf("%q carries no hash", name)
		}
	}
}

func TestOneNameForEachOperationWhateverTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		operations := drawOperations(t)
		names := namesOf(operations, []string{"search_operations", "a_get"})
		byName := map[string]string{}
		for i, name := range names {
			if !legalName.MatchString(name) {
				t.Fatalf("illegal name %q", name)
			}
			folded := strings.ToLower(name)
			if other, taken := byName[folded]; taken {
				t.Fatalf("%q is %s and %s", name, other, operations[i].Path)
			}
			byName[folded] = operations[i].Method + " " + operations[i].Path
			if folded == "a_get" || folded == "search_operations" {
				t.Fatalf("%q is reserved", name)
			}
		}
		shuffled := rapid.Permutation(operations).Draw(t, "order")
		again := map[string]string{}
		for i, name := range namesOf(shuffled, []string{"search_operations", "a_get"}) {
			again[strings.ToLower(name)] = shuffled[i].Method + " " + shuffled[i].Path
		}
		if !maps.Equal(byName, again) {
			t.Fatalf("names depend on the order:\n%v\n%v", byName, again)
		}
	})
}

// drawOperations draws operations with different methods and paths whose names
// are likely to clash.
func drawOperations(t *rapid.T) []*catalogue.Operation {
	segment := rapid.SampledFrom([]string{"a", "A", "a-b", "a_b", "a!b", "{id}", "{Id}", "operations", "ß", strings.Repeat("x", 60)})
	seen := map[string]bool{}
	var list []*catalogue.Operation
	for i := range rapid.IntRange(1, 25).Draw(t, "operations") {
		path := "/api/" + strings.Join(rapid.SliceOfN(segment, 1, 4).Draw(t, fmt.Sprint("path", i)), "/")
		method := rapid.SampledFrom(catalogue.Methods()).Draw(t, "method")
		if seen[method+path] {
			continue
		}
		seen[method+path] = true
		op := &catalogue.Operation{Method: method, Path: path, Domain: rapid.SampledFrom([]string{"a", "A", "search", "", "root"}).Draw(t, "domain")}
		if rapid.IntRange(0, 5).Draw(t, "chosen") == 0 {
			name := rapid.SampledFrom([]string{"a_get", "same", "op_" + hashOf(op)}).Draw(t, "name")
			op.Extensions = map[string]json.RawMessage{NameExtension: json.RawMessage(`"` + name + `"`)}
		}
		list = append(list, op)
	}
	return list
}

package openapi

import (
	"encoding/json"
	"os"
	"testing"
)

// TestTheDocumentsAreWhole writes the documents to OPENAPI_OUT, when that is set,
// for tools that judge them.
func TestTheDocumentsAreWhole(t *testing.T) {
	for name, make := range map[string]func(About) ([]byte, error){"web": Web, "gateway": Gateway} {
		data, err := make(About{Version: "1.2.3", URL: "https://dfm.example.test"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var document struct {
			OpenAPI string
			Info    struct{ Version string }
			Paths   map[string]map[string]struct {
				OperationID string
				Summary     string
				Tags        []string
				Responses   map[string]any
			}
		}
		if err := json.Unmarshal(data, &document); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if document.OpenAPI != "3.1.1" || document.Info.Version != "1.2.3" {
			t.Errorf("%s: openapi %q, version %q", name, document.OpenAPI, document.Info.Version)
		}
		if cut := nulls("", data); cut != "" {
			t.Errorf("%s: %s says nothing: a comma in a text that is not quoted?", name, cut)
		}
		ids := map[string]string{}
		for path, methods := range document.Paths {
			for method, op := range methods {
				if op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 || op.Tags[0] == "" || len(op.Responses) == 0 {
					t.Errorf("%s: %s %s lacks operationId, summary, tag or responses", name, method, path)
				}
				if other := ids[op.OperationID]; other != "" {
					t.Errorf("%s: %s and %s are both called %s", name, other, path, op.OperationID)
				}
				ids[op.OperationID] = path
			}
		}
		if out := os.Getenv("OPENAPI_OUT"); out != "" {
			if err := os.WriteFile(out+"/"+name+".json", data, 0o600); err != nil {
				t.Error(err)
			}
		}
	}
}

// nulls finds a member without a value.
func nulls(place string, data []byte) string {
	var inside map[string]json.RawMessage
	var list []json.RawMessage
	switch {
	case string(data) == "null":
		return place
	case json.Unmarshal(data, &inside) == nil:
		for name, value := range inside {
			if found := nulls(place+"/"+name, value); found != "" {
				return found
			}
		}
	case json.Unmarshal(data, &list) == nil:
		for _, value := range list {
			if found := nulls(place+"/-", value); found != "" {
				return found
			}
		}
	}
	return ""
}

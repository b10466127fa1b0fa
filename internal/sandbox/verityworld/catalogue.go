package verityworld

import (
	"net/http"
	"strings"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// entry is one endpoint of the catalogue, from which both of its forms are made.
type entry struct {
	path, description, auth string
	methods                 []string
	pathParams, query, body map[string]any
}

func entries() []entry {
	one := func(method string) []string { return []string{method} }
	id := map[string]any{"id": "string"}
	widget := map[string]any{"name": "string", "color": "string", "size": "number"}
	return []entry{
		{"/api/widgets", "List widgets, or create one", "requireUser", []string{"GET", "POST"}, nil, map[string]any{"limit": "number", "color": "string"}, widget},
		{"/api/widgets/{id}", "One widget", "requireUser", []string{"GET", "PUT", "PATCH"}, id, nil, widget},
		{"/api/widgets/{id}", "Delete a widget", "requireAdmin", one("DELETE"), id, nil, nil},
		{"/api/account", "The caller's account", "requireUser", one("GET"), nil, nil, nil},
		{"/api/echo", "What arrived", "none", methods, nil, nil, map[string]any{}},
		{"/api/calls/{id}", "One call", "requireAuth", one("GET"), id, nil, nil},
		{"/api/comms/broadcasts/{id}/analytics", "A broadcast's analytics", "requireAuth", one("GET"), id, nil, nil},
		{"/api/integrations/df-middleware/send-message", "Send a text", "none", one("POST"), nil, nil,
			map[string]any{"to": "string", "body": "string", "from": "string"}},
		{"/api/slow", "Answers late", "none", one("GET"), nil, map[string]any{"ms": "number"}, nil},
	}
}

func (w *World) routeCatalogue() {
	w.Route("catalogue", "GET", "/catalog.json", func(rw http.ResponseWriter, _ *http.Request) { stage.JSON(rw, 200, w.Catalogue()) })
	w.Route("openapi", "GET", "/openapi.json", func(rw http.ResponseWriter, _ *http.Request) { stage.JSON(rw, 200, w.OpenAPI()) })
}

// Catalogue returns the catalogue in its native form; it is served at
// /catalog.json.
func (w *World) Catalogue() map[string]any {
	list := []map[string]any{}
	for _, e := range entries() {
		parameters := map[string]any{}
		for name, value := range map[string]map[string]any{"path": e.pathParams, "query": e.query, "body": e.body} {
			if value != nil {
				parameters[name] = value
			}
		}
		list = append(list, map[string]any{
			"path": e.path, "methods": e.methods, "description": e.description, "parameters": parameters,
			"authRequired": e.auth != "none", "authType": e.auth,
		})
	}
	return map[string]any{
		"version": "1.0.0", "generatedAt": stage.ISO(w.Now()), "endpoints": list,
		"domains": []string{"widgets", "account", "comms"}, "statistics": map[string]any{"totalEndpoints": len(list)},
	}
}

// OpenAPI returns the same catalogue as an OpenAPI 3.0 document; it is served
// at /openapi.json.
func (w *World) OpenAPI() map[string]any {
	paths := map[string]map[string]any{}
	for _, e := range entries() {
		if paths[e.path] == nil {
			paths[e.path] = map[string]any{}
		}
		for _, method := range e.methods {
			paths[e.path][strings.ToLower(method)] = e.operation(method)
		}
	}
	return map[string]any{
		"openapi": "3.0.3", "info": map[string]any{"title": "Verity sandbox", "version": "1.0.0"}, "paths": paths,
		"components": map[string]any{"securitySchemes": map[string]any{"clerk": map[string]any{"type": "http", "scheme": "bearer"}}},
	}
}

func (e entry) operation(method string) map[string]any {
	parameters := []map[string]any{}
	for name := range e.pathParams {
		parameters = append(parameters, map[string]any{"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	for name, kind := range e.query {
		parameters = append(parameters, map[string]any{"name": name, "in": "query", "schema": map[string]any{"type": kind}})
	}
	operation := map[string]any{
		"summary": e.description, "parameters": parameters,
		"responses": map[string]any{"200": map[string]any{"description": "OK"}},
	}
	if e.auth != "none" {
		operation["security"] = []map[string]any{{"clerk": []string{}}}
	}
	if e.body != nil && method != "GET" && method != "DELETE" {
		properties := map[string]any{}
		for name, kind := range e.body {
			properties[name] = map[string]any{"type": kind}
		}
		schema := map[string]any{"type": "object", "properties": properties}
		operation["requestBody"] = map[string]any{"content": map[string]any{"application/json": map[string]any{"schema": schema}}}
	}
	return operation
}

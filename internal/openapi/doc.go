// Package openapi describes what df-middleware serves, as OpenAPI 3.1: the web
// app (web/*.yaml, one file for each subject) and the gateway (gateway.yaml).
//
// The files are what a person edits. They are OpenAPI except for a few shorthands,
// which say what is the same everywhere once and keep it out of every operation:
//
//	x-data: Event        the answer is {"success":true,"data":Event}
//	x-list: Event        … {"success":true,"data":[Event],"nextCursor":string or null}
//	x-more: {…}          … and what such an answer may have besides
//	x-body: {…}          a JSON body: schema, example
//	x-errors: [404]      it may also be refused with these
//
// A file's tag and security hold for all operations in it; parameters in braces
// need no words, and every schema with properties is closed: what it does not name,
// an answer does not hold. Tests in app hold the documents to the routes that there
// are, and real answers to the documents.
package openapi

package mcp

import (
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestFormsReachVerityAsTheyAre(t *testing.T) {
	r := newRig(t, `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{
	 "/api/files":{"post":{"requestBody":{"content":{"multipart/form-data":{"schema":{"type":"object","properties":{"name":{"type":"string"}}}}}},"responses":{}}},
	 "/api/sms":{"post":{"requestBody":{"content":{"application/x-www-form-urlencoded":{"schema":{"type":"object"}}}},"responses":{}}}}}`, nil)
	session := r.connect(nil)
	result := call(t, session, "files_create", `{"body":{"name":"n","file":{"base64":"AP8B","filename":"x.bin"}}}`)
	equal(t, "error", result.IsError, false)
	got := r.upstream.reached()
	equal(t, "calls", len(got), 1)
	contains(t, "file", got[0], `filename="x.bin"`)
	contains(t, "bytes", got[0], "\x00\xff\x01")
	// The opt-out gate reads JSON only, so a text in another form is refused.
	result = call(t, session, toolCall, `{"name":"`+smsName(t, session)+`","arguments":{"body":{"to":"+12025550199"}}}`)
	equal(t, "a text as a form", result.IsError, true)
	equal(t, "sent", len(r.upstream.reached()), 0)
}

func smsName(t *testing.T, session *sdk.ClientSession) string {
	t.Helper()
	for _, name := range toolNames(t, session) {
		if strings.HasPrefix(name, "sms") || strings.HasPrefix(name, "integrations") {
			return name
		}
	}
	t.Fatal("no tool that sends texts")
	return ""
}

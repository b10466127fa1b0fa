package carrier

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

type post struct {
	url    string
	header http.Header
	body   []byte
}

type ears struct {
	mu    sync.Mutex
	posts []post
}

func (e *ears) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.posts = append(e.posts, post{r.URL.String(), r.Header.Clone(), body})
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

func set(t *testing.T, change func(*Config)) (*World, func() post) {
	t.Helper()
	e := &ears{}
	c := Config{Stage: stage.Config{Seed: 1, Transport: e, Clock: func() time.Time { return time.Unix(1893596645, 0) }}, URLs: map[Provider]string{}}
	for _, provider := range Providers() {
		c.URLs[provider] = "http://dfm.test/texting/" + string(provider)
	}
	if change != nil {
		change(&c)
	}
	w := New(c)
	t.Cleanup(func() { _ = w.Close() })
	return w, func() post {
		t.Helper()
		if err := w.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.posts) == 0 {
			t.Fatal("nothing was posted")
		}
		return e.posts[len(e.posts)-1]
	}
}

var stop = Text{From: "+15005550111", To: "+15005550199", Body: "STOP now & here", Media: []string{"https://example.test/a.jpg"}}

func TestTwilioSignsUrlAndSortedParameters(t *testing.T) {
	for _, public := range []string{"", "https://public.example.test/hook?x=1"} {
		w, last := set(t, func(c *Config) { c.TwilioSigns = public })
		id := w.Receive(Twilio, stop)
		p := last()
		form, err := url.ParseQuery(string(p.body))
		if err != nil {
			t.Fatal(err)
		}
		signed := public
		if public == "" {
			signed = p.url
		}
		names := make([]string, 0, len(form))
		for name := range form {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			signed += name + form.Get(name)
		}
		mac := hmac.New(sha1.New, []byte("twilio-sandbox-token"))
		mac.Write([]byte(signed))
		if got := p.header.Get("X-Twilio-Signature"); got != base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
			t.Error("the signature does not verify")
		}
		if form.Get("MessageSid") != id || form.Get("Body") != stop.Body || form.Get("NumMedia") != "1" || form.Get("SmsStatus") != "received" {
			t.Errorf("got %v", form)
		}
	}
}

func TestTwilioReports(t *testing.T) {
	w, last := set(t, nil)
	w.Report(Twilio, Report{Text: Text{ID: "SM1", To: "+15005550111"}, Status: "failed", ErrorCode: "21610"})
	form, _ := url.ParseQuery(string(last().body))
	if form.Get("MessageStatus") != "undelivered" || form.Get("ErrorCode") != "21610" || form.Get("RawDlrDoneDate") == "" {
		t.Errorf("got %v", form)
	}
}

func TestTelnyxSignsTimestampAndBody(t *testing.T) {
	w, last := set(t, nil)
	w.Receive(Telnyx, stop)
	p := last()
	key, err := base64.StdEncoding.DecodeString(w.TelnyxPublicKey())
	if err != nil {
		t.Fatal(err)
	}
	signature, err := base64.StdEncoding.DecodeString(p.header.Get("telnyx-signature-ed25519"))
	if err != nil {
		t.Fatal(err)
	}
	signed := append([]byte(p.header.Get("telnyx-timestamp")+"|"), p.body...)
	if !ed25519.Verify(key, signed, signature) {
		t.Error("the signature does not verify")
	}
	var body struct {
		Data struct {
			Type    string `json:"event_type"`
			Payload struct {
				Text string `json:"text"`
				To   []struct {
					Status string `json:"status"`
				} `json:"to"`
			} `json:"payload"`
		} `json:"data"`
	}
	if err := json.Unmarshal(p.body, &body); err != nil || body.Data.Type != "message.received" || body.Data.Payload.Text != stop.Body {
		t.Errorf("%v: %s", err, p.body)
	}
	w.Report(Telnyx, Report{Text: Text{ID: "t1"}, Status: "failed", ErrorCode: "40300"})
	if err := json.Unmarshal(last().body, &body); err != nil || body.Data.Type != "message.finalized" || body.Data.Payload.To[0].Status != "delivery_failed" {
		t.Errorf("%v: %+v", err, body)
	}
}

func TestStandardWebhooksSignature(t *testing.T) {
	w, last := set(t, nil)
	w.Receive(Standard, stop)
	p := last()
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(w.StandardSecret(), "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(p.header.Get("webhook-id") + "." + p.header.Get("webhook-timestamp") + "." + string(p.body)))
	if p.header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) || p.header.Get("webhook-timestamp") != "1893596645" {
		t.Errorf("headers %v", p.header)
	}
}

func TestDFHMACSignsTheBodyOrSendsTheSecret(t *testing.T) {
	w, last := set(t, nil)
	w.Receive(DFHMAC, Text{From: "+15005550111", To: "+15005550199", Body: "x", OptOut: "STOP", ConversationID: "c1"})
	p := last()
	mac := hmac.New(sha256.New, []byte("verity-sandbox-secret"))
	mac.Write(p.body)
	if p.header.Get("X-Texting-Signature") != hex.EncodeToString(mac.Sum(nil)) || !strings.Contains(string(p.body), `"type":"optout.stop"`) {
		t.Errorf("%v %s", p.header, p.body)
	}
	plain, last := set(t, func(c *Config) { c.SendPlainSecret = true })
	plain.Report(DFHMAC, Report{Text: Text{ID: "tx_1"}, Status: "delivered"})
	p = last()
	if p.header.Get("X-Texting-Secret") != "verity-sandbox-secret" || p.header.Get("X-Texting-Signature") != "" || !strings.Contains(string(p.body), `"status":"delivered"`) {
		t.Errorf("%v %s", p.header, p.body)
	}
}

func TestCurlCanTextAndReport(t *testing.T) {
	w, last := set(t, nil)
	for path, want := range map[string]int{"/_sandbox/receive/twilio": 200, "/_sandbox/receive/pigeon": 404} {
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, httptest.NewRequest("POST", path, strings.NewReader(`{"from":"+15005550111","to":"+15005550199","body":"hi"}`)))
		if rec.Code != want {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	if form, _ := url.ParseQuery(string(last().body)); form.Get("Body") != "hi" {
		t.Errorf("got %v", form)
	}
}

package egress

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
)

const token = "tok/en+with=odd&chars-7f3a"

func TestRedactorHidesSecretsInEverySpelling(t *testing.T) {
	r := NewRedactor([]string{token, "short", ""}, func() []string { return []string{"refreshed-token"} })
	for name, text := range map[string]string{
		"plain":     "called with " + token,
		"query":     "https://app.example.test/x?k=tok%2Fen%2Bwith%3Dodd%26chars-7f3a",
		"path":      "https://app.example.test/tok%2Fen+with=odd&chars-7f3a",
		"base64":    base64.StdEncoding.EncodeToString([]byte(token)),
		"json":      `{"x":"tok/en+with=odd\u0026chars-7f3a"}`,
		"refreshed": "now refreshed-token is used",
	} {
		got := r.Text(text)
		if !strings.Contains(got, "[secret]") || strings.Contains(got, "7f3a") || strings.Contains(got, "refreshed-token") {
			t.Errorf("%s: %q became %q", name, text, got)
		}
	}
	if got := r.Text("a short text"); got != "a short text" {
		t.Errorf("a secret too short to search for: %q", got)
	}
}

// The original logged failed Aloware URLs with the token in them, message bodies
// and whole payloads.
func TestRedactorHidesByForm(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"GET /webhook/users?api_token=abc123&page=2", "GET /webhook/users?api_token=[secret]&page=2"},
		{"/x?a=1&api%5Ftoken=abc", "/x?a=1&api%5Ftoken=[secret]"},
		{`{"api_token":"abc","phone_number":"+15005550111"}`, `{"api_token":"[secret]","phone_number":"[phone]"}`},
		{`"{\"api_token\":\"abc\",\"x\":1}"`, `"{\"api_token\":\"[secret]\",\"x\":1}"`},
		{"apiToken: abc", "apiToken: [secret]"},
		{"url=https%3A%2F%2Fx%2F%3Fapi_token%3Dabc", "url=https%3A%2F%2Fx%2F%3Fapi_token%3D[secret]"},
		{"Authorization: Bearer pit-11 22", "Authorization: [secret]"},
		{"map[Authorization:[Bearer abc] Accept:[x]]", "map[Authorization:[[secret]] Accept:[x]]"},
		{"X-DF-ADMIN-SECRET=hunter2 ok", "X-DF-ADMIN-SECRET=[secret] ok"},
		{"sent Bearer abcDEF123 there", "sent Bearer [secret] there"},
		{"Basic dXNlcjpwYXNz", "Basic [secret]"},
		{"the bearer credentials are missing", "the bearer credentials are missing"},
		{"Invalid token: access token is invalid", "Invalid token: access token is invalid"},
		{"the token: was refused", "the token: was refused"},
		{"token=abc", "token=[secret]"},
		{"jwt eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln end", "jwt [secret] end"},
		{"call +15005550111 now", "call [phone] now"},
		{"call +1 (202) 555-0123.", "call [phone]."},
		{"?phone_number=%2B12025550123&x=1", "?phone_number=[phone]&x=1"},
		{"?phone_number=12025550123", "?phone_number=[phone]"},
		{"2025550123 and (202) 555-0123 and 202.555.0123", "[phone] and [phone] and [phone]"},
		{"communication 987654321 of contact 700001", "communication 987654321 of contact 700001"},
		{"at 2026-05-04 12:00:00 and 2026-05-04T12:00:00+00:00", "at 2026-05-04 12:00:00 and 2026-05-04T12:00:00+00:00"},
		{"id 0d5f2c9e-6f0a-4a39-8a35-d8bb1f5ce1c2", "id 0d5f2c9e-6f0a-4a39-8a35-d8bb1f5ce1c2"},
		{"mail jo.doe+x@mail.example.test, please", "mail [email], please"},
		{"mail=jo%40example.test&x=1", "mail=[email]&x=1"},
		{"jürgen@exämple.test", "[email]"},
		{"dial tcp 10.0.0.1:443: connect: connection refused", "dial tcp 10.0.0.1:443: connect: connection refused"},
		{"go@1 a @ b @x. x@", "go@1 a @ b @x. x@"},
		{"+1", "+1"}, {"%", "%"}, {"%4", "%4"}, {"%40", "%40"}, {"(", "("}, {"=", "="}, {"api_token=", "api_token="},
	} {
		var none *Redactor
		if got := none.Text(test.in); got != test.want {
			t.Errorf("%q\n got %q\nwant %q", test.in, got, test.want)
		}
	}
}

func TestRedactorHidesAnyPhoneNumberAndMailAddressWhateverSurroundsThem(t *testing.T) {
	r := NewRedactor([]string{token}, nil)
	around := rapid.SampledFrom([]string{"", " ", ",", "\"", "\n", ": ", "=", "?to=", "(", "<", "'", "{"})
	rapid.Check(t, func(t *rapid.T) {
		phone := "+1" + rapid.StringMatching(`[2-9][0-9]{2}[2-9][0-9]{6}`).Draw(t, "phone")
		local := rapid.StringMatching(`[a-z][a-z0-9.]{4,9}[a-z]`).Draw(t, "local")
		text := around.Draw(t, "a") + phone + around.Draw(t, "b") + " " + local + "@example.test" +
			around.Draw(t, "c") + " " + token
		got := r.Text(text)
		for _, hidden := range []string{phone, phone[2:], local + "@", token} {
			if strings.Contains(got, hidden) {
				t.Fatalf("%q left %q in %q", text, hidden, got)
			}
		}
	})
}

func FuzzRedactorIsIdempotent(f *testing.F) {
	for _, seed := range []string{"api_token=[secret]", "Authorization: [Basic [secret]", "a@b.c@d.e", "+1(((2025550123",
		"%2B%2B12025550123", "bearer BEARER x1y2z3a4", "password=\"\\\"x", "e eyJeyJ", "token:'x'"} {
		f.Add(seed)
	}
	r := NewRedactor([]string{"sesame-open"}, nil)
	f.Fuzz(func(t *testing.T, text string) {
		once := r.Text(text)
		if strings.Contains(once, "sesame-open") {
			t.Fatalf("secret left in %q", once)
		}
		if twice := r.Text(once); twice != once {
			t.Fatalf("%q became %q, then %q", text, once, twice)
		}
	})
}

type card struct {
	Name  string
	Phone *string
}

func TestRedactHandlerCleansMessagesAttributesAndGroups(t *testing.T) {
	phone := "+12025550123"
	for name, write := range map[string]func(*slog.Logger){
		"message":   func(l *slog.Logger) { l.Info("calling " + phone) },
		"string":    func(l *slog.Logger) { l.Info("x", "url", "https://h.test/?api_token=letmein&p="+phone) },
		"error":     func(l *slog.Logger) { l.Info("x", "error", errors.New("no such contact: "+phone)) },
		"group":     func(l *slog.Logger) { l.Info("x", slog.Group("g", slog.Group("h", "to", phone))) },
		"with":      func(l *slog.Logger) { l.With("to", phone).WithGroup("g").Info("x", "y", phone) },
		"key":       func(l *slog.Logger) { l.Info("x", "apiToken", "letmein", "client_secret", []string{"letmein"}) },
		"bytes":     func(l *slog.Logger) { l.Info("x", "body", []byte(`{"p":"`+phone+`"}`)) },
		"list":      func(l *slog.Logger) { l.Info("x", "numbers", []string{phone}) },
		"pointer":   func(l *slog.Logger) { l.Info("x", "card", &card{Name: "Jo", Phone: &phone}) },
		"header":    func(l *slog.Logger) { l.Info("x", "h", http.Header{"Authorization": {"Bearer letmein"}}) },
		"logvaluer": func(l *slog.Logger) { l.Info("x", "secret", df.Secret("letmein"), "p", df.Phone(phone)) },
	} {
		for _, format := range []string{"text", "json"} {
			var out bytes.Buffer
			var next slog.Handler = slog.NewTextHandler(&out, nil)
			if format == "json" {
				next = slog.NewJSONHandler(&out, nil)
			}
			write(slog.New(RedactHandler(next, nil)))
			if text := out.String(); text == "" || strings.Contains(text, "5550123") || strings.Contains(text, "letmein") {
				t.Errorf("%s, %s: %q", name, format, text)
			}
		}
	}
}

func TestRedactHandlerKeepsWhatIsClean(t *testing.T) {
	var plain, wrapped bytes.Buffer
	options := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	for _, h := range []slog.Handler{slog.NewJSONHandler(&plain, options), RedactHandler(slog.NewJSONHandler(&wrapped, options), nil)} {
		slog.New(h).With("a", 1).WithGroup("g").Info("all is well", "n", 12025550123, "at", epoch, "ok", true,
			"list", []string{"x"}, "err", errors.New("boom"), slog.Group("h", "k", "v"))
	}
	if plain.String() != wrapped.String() {
		t.Errorf("changed:\n%s%s", plain.String(), wrapped.String())
	}
	if RedactHandler(slog.DiscardHandler, nil).Enabled(context.Background(), slog.LevelError) {
		t.Error("enabled though the next handler is not")
	}
}

func BenchmarkRedactCleanText(b *testing.B) {
	r := NewRedactor([]string{"0123456789abcdef0123", "another-secret-value", token}, nil)
	text := "converged person 7f3a: 2 fields written to aloware in 312ms, attempt 1 of 10"
	b.ReportAllocs()
	for b.Loop() {
		r.Text(text)
	}
}

func BenchmarkRedactDirtyText(b *testing.B) {
	r := NewRedactor([]string{"0123456789abcdef0123", "another-secret-value", token}, nil)
	text := "GET https://app.example.test/api/v1/webhook/contact/phone-number?api_token=abc&phone_number=%2B12025550123: EOF"
	b.ReportAllocs()
	for b.Loop() {
		r.Text(text)
	}
}

func BenchmarkRedactHandler(b *testing.B) {
	log := slog.New(RedactHandler(slog.NewJSONHandler(discard{}, nil), NewRedactor([]string{token}, nil)))
	b.ReportAllocs()
	for b.Loop() {
		log.Info("upstream call", "upstream", "aloware", "operation", "update contact", "status", 200, "outcome", "done")
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// Logs and errors may quote what a stranger sent, up to a megabyte of it.
func TestRedactorTakesTimeInProportionToTheText(t *testing.T) {
	r := NewRedactor([]string{token}, nil)
	for _, piece := range []string{"%40", "+1", "'", "' =", "\"=", "eyJ", "a@", "@a.", "(", "1-", "bearer ", "basic", "token=",
		"token:", "authorization=", "%3D", "%2B1", "2025550123", "+1 ", "a=", "\\\":", "1@", "e", "%20", "+", "a'@b", "token= "} {
		began := time.Now()
		r.Text(strings.Repeat(piece, 1<<18/len(piece)))
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%q over and over took %v", piece, took)
		}
	}
}

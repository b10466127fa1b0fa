package stage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Prank is one thing that goes wrong with one request.
type Prank string

// The pranks. RateLimited answers 429 without saying when to come back,
// RateLimitedUntil says so in Retry-After. LoseRequest ends the connection
// before anything took effect, LoseAnswer after everything did; to a client both
// look like a time-out. NotWritten answers success and writes nothing. HTML is a
// web page with status 200, as Aloware serves for paths it does not know. Slow
// answers late, and correctly.
const (
	NoPrank          Prank = ""
	RateLimited      Prank = "rateLimited"
	RateLimitedUntil Prank = "rateLimitedUntil"
	ServerError      Prank = "serverError"
	LoseRequest      Prank = "loseRequest"
	LoseAnswer       Prank = "loseAnswer"
	NotWritten       Prank = "notWritten"
	HTML             Prank = "html"
	Slow             Prank = "slow"
)

// Pranks lists every prank, in the order in which chance tries them.
func Pranks() []Prank {
	return []Prank{RateLimited, RateLimitedUntil, ServerError, LoseRequest, LoseAnswer, NotWritten, HTML, Slow}
}

// Mischief says how an upstream misbehaves. The zero value behaves. Every
// number between 0 and 1 is a probability per request or per webhook.
type Mischief struct {
	Operations []string `json:"operations,omitempty"` // the operations whose requests are affected; empty means all

	RateLimited      float64 `json:"rateLimited,omitempty"`
	RateLimitedUntil float64 `json:"rateLimitedUntil,omitempty"`
	ServerError      float64 `json:"serverError,omitempty"`
	LoseRequest      float64 `json:"loseRequest,omitempty"`
	LoseAnswer       float64 `json:"loseAnswer,omitempty"`
	NotWritten       float64 `json:"notWritten,omitempty"`
	HTML             float64 `json:"html,omitempty"`
	Slow             float64 `json:"slow,omitempty"`

	RetryAfter time.Duration `json:"-"` // what RateLimitedUntil says; 1 s when zero; JSON "retryAfter":"2s"
	HoldFor    time.Duration `json:"-"` // how long lost requests hang before the connection ends; JSON "holdFor"
	SlowBy     time.Duration `json:"-"` // how late slow answers are; 1 s when zero; JSON "slowBy"

	// Normalise makes the upstream rewrite what it stores: names in capitals,
	// spaces collapsed, e-mail addresses and tags in lower case.
	Normalise bool `json:"normalise,omitempty"`

	DropWebhooks    float64       `json:"dropWebhooks,omitempty"`
	DoubleWebhooks  float64       `json:"doubleWebhooks,omitempty"`
	DelayWebhooks   float64       `json:"delayWebhooks,omitempty"`
	ReorderWebhooks float64       `json:"reorderWebhooks,omitempty"`
	DelayBy         time.Duration `json:"-"` // the longest delay of a delayed webhook; 1 s when zero; JSON "delayBy"
}

type mischiefFields Mischief

type mischiefJSON struct {
	*mischiefFields
	RetryAfter string `json:"retryAfter,omitempty"`
	HoldFor    string `json:"holdFor,omitempty"`
	SlowBy     string `json:"slowBy,omitempty"`
	DelayBy    string `json:"delayBy,omitempty"`
}

// MarshalJSON writes durations as "1.5s".
func (m Mischief) MarshalJSON() ([]byte, error) {
	fields := mischiefFields(m)
	return json.Marshal(mischiefJSON{
		mischiefFields: &fields,
		RetryAfter:     durationText(m.RetryAfter), HoldFor: durationText(m.HoldFor),
		SlowBy: durationText(m.SlowBy), DelayBy: durationText(m.DelayBy),
	})
}

// UnmarshalJSON reads what MarshalJSON writes. It refuses names that it does
// not know and probabilities outside 0 to 1, so that a slip in a curl command
// does not pass for a quiet upstream.
func (m *Mischief) UnmarshalJSON(data []byte) error {
	var fields mischiefFields
	wire := mischiefJSON{mischiefFields: &fields}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wire); err != nil {
		return fmt.Errorf("read mischief: %w", err)
	}
	for _, d := range []struct {
		text string
		to   *time.Duration
	}{{wire.RetryAfter, &fields.RetryAfter}, {wire.HoldFor, &fields.HoldFor},
		{wire.SlowBy, &fields.SlowBy}, {wire.DelayBy, &fields.DelayBy}} {
		if d.text == "" {
			continue
		}
		value, err := time.ParseDuration(d.text)
		if err != nil || value < 0 {
			return fmt.Errorf("read mischief: %q is not a duration such as 1.5s", d.text)
		}
		*d.to = value
	}
	*m = Mischief(fields)
	return m.check()
}

func (m Mischief) check() error {
	for _, p := range append(m.chances(), m.DropWebhooks, m.DoubleWebhooks, m.DelayWebhooks, m.ReorderWebhooks) {
		if p < 0 || p > 1 {
			return fmt.Errorf("read mischief: %v is not a probability from 0 to 1", p)
		}
	}
	return nil
}

// chances returns the probabilities in the order of Pranks.
func (m Mischief) chances() []float64 {
	return []float64{m.RateLimited, m.RateLimitedUntil, m.ServerError, m.LoseRequest,
		m.LoseAnswer, m.NotWritten, m.HTML, m.Slow}
}

func (m Mischief) affects(operation string) bool {
	return len(m.Operations) == 0 || slices.Contains(m.Operations, operation)
}

// prank lets chance decide about one request.
func (m Mischief) prank(operation string, die *die) Prank {
	if !m.affects(operation) {
		return NoPrank
	}
	for i, chance := range m.chances() {
		if die.falls(chance) {
			return Pranks()[i]
		}
	}
	return NoPrank
}

func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func orElse(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}

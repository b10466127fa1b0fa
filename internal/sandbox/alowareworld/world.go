package alowareworld

import (
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Config says how the account is set up. The zero value of each field gives a
// usable default.
type Config struct {
	Stage stage.Config

	Token        string // api_token; "aloware-sandbox-token"
	BasicUser    string // webhooks carry Basic credentials when set
	BasicPass    string
	Bearer       string // or a bearer token
	WebhookURL   string
	Users        []User
	Lists        []int64 // list ids that exist; empty: every id does
	Sequences    []int64 // sequence ids that exist; empty: every id does
	RingGroups   []int64
	LineNumber   string   // the account's own number; "+15005550199"
	Native       bool     // intake_source says "gohighlevel", as with the vendor's own link
	CustomFields []string // flat extra keys that /forms takes and look-ups show; csf1 and csf2 are always there

	TokenPage      bool   // a wrong token is answered with 200 and a web page instead of 401
	ExistsStatus   int    // for /forms without force_update on a known contact; 409, some clients report 400
	Envelope       string // where a look-up's contact stands: "" at the root, "contact" or "data"
	BoolFlags      bool   // flags are true and false instead of 1 and 0
	TextIDs        bool   // webhooks spell every value as text, as the vendor's printed sample does
	KeepDNC        bool   // is_dnc 0 does not clear do-not-contact
	SilentEcho     bool   // writes through the API cause no webhooks
	LongTexts      bool   // texts over 160 characters are taken
	DNCEvent       string // wire name of the DNC webhook; "Contact-DNC-Updated"
	UpdatedEvent   string // "Contact-Updated"
	FanOutSpread   bool   // the webhooks of a call come at their measured distances, scaled, instead of at once
	RefuseOptedOut bool   // sending to an opted-out contact is refused at once instead of failing later
}

// User is an agent of the account.
type User struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Email  string `json:"email"`
	Status int    `json:"agent_status"` // 0 offline, 1 available, 2 busy, …
}

// Contact is one contact of the account. Fields are named as in /forms.
type Contact struct {
	ID        int64             `json:"id"`
	UUID      string            `json:"uuid_v4"`
	Phone     string            `json:"phone_number"` // E.164
	Fields    map[string]string `json:"fields"`       // first_name, last_name, email, address, city, csf1, …
	Tags      []string          `json:"tags"`
	UserID    int64             `json:"user_id"`
	DNC       bool              `json:"is_dnc"`
	OptedOut  bool              `json:"is_opted_out"`
	Blocked   bool              `json:"is_blocked"`
	Lists     []int64           `json:"lists"`     // power-dialer lists, sorted
	Sequences []int64           `json:"sequences"` // enrolled in
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
}

// Text is an SMS that was handed to the gateway.
type Text struct {
	ID      int64     `json:"id"` // of the communication
	From    string    `json:"from"`
	To      string    `json:"to"`
	Message string    `json:"message"`
	UserID  int64     `json:"user_id"`
	At      time.Time `json:"at"`
	Failed  bool      `json:"failed"`
}

// World is the account. It is safe for concurrent use.
type World struct {
	*stage.Stage
	config Config

	mu       sync.Mutex
	webhook  string
	contacts []*Contact
	texts    []Text
	lastID   int64 // of contacts
	lastComm int64 // of communications; calls and texts share one space
}

// New returns an account without contacts.
func New(c Config) *World {
	fill(&c)
	w := &World{
		Stage: stage.New(c.Stage), config: c, webhook: c.WebhookURL,
		lastID: 700000000, lastComm: 900000000,
	}
	w.Fallback(unknownPath, wrongMethod)
	w.routeContacts()
	w.routeDialler()
	w.routeControl()
	return w
}

func fill(c *Config) {
	for _, d := range []struct {
		to    *string
		value string
	}{
		{&c.Stage.Name, "aloware"}, {&c.Token, "aloware-sandbox-token"}, {&c.LineNumber, "+15005550199"},
		{&c.DNCEvent, "Contact-DNC-Updated"}, {&c.UpdatedEvent, "Contact-Updated"},
	} {
		if *d.to == "" {
			*d.to = d.value
		}
	}
	if c.ExistsStatus == 0 {
		c.ExistsStatus = 409
	}
}

// Settings returns the configuration with its defaults filled in.
func (w *World) Settings() Config { return w.config }

// SetWebhook changes where webhooks go from now on.
func (w *World) SetWebhook(url string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.webhook = url
}

// fieldNames are the texts that /forms takes beside the phone number.
var fieldNames = []string{"first_name", "last_name", "email", "company_name", "lead_source", "date_of_birth", "timezone",
	"address", "city", "state", "zipcode", "country", "website", "notes", "csf1", "csf2"}

// hidden are the fields that can be written and are shown nowhere.
var hidden = map[string]bool{"address": true, "zipcode": true, "website": true, "notes": true}

func (c *Contact) clone() *Contact {
	d := *c
	d.Fields = map[string]string{}
	for name, value := range c.Fields {
		d.Fields[name] = value
	}
	d.Tags = append([]string{}, c.Tags...)
	d.Lists = append([]int64{}, c.Lists...)
	d.Sequences = append([]int64{}, c.Sequences...)
	return &d
}

func (c *Contact) name() string {
	return strings.TrimSpace(c.Fields["first_name"] + " " + c.Fields["last_name"])
}

// byPhone finds a contact by a number in any usual notation.
func (w *World) byPhone(number string) *Contact {
	phone, err := df.ParsePhone(number, "US")
	if err != nil {
		return nil
	}
	for _, k := range w.contacts {
		if k.Phone == string(phone) {
			return k
		}
	}
	return nil
}

func (w *World) byID(id int64) *Contact {
	for _, k := range w.contacts {
		if k.ID == id {
			return k
		}
	}
	return nil
}

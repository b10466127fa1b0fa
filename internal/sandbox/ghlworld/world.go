package ghlworld

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Config says how the location is set up. The zero value of each field gives a
// usable default.
type Config struct {
	Stage stage.Config

	PIT          string // the Private Integration Token; "pit-sandbox"
	LocationID   string // "SandboxLocation00001"
	CompanyID    string // "SandboxCompany000001"
	Timezone     string // of the location; "America/New_York"
	CalendarID   string // "SandboxCalendar00001"
	ClientID     string // of the marketplace app; its part before "-" is the app id
	ClientSecret string
	SMSProvider  string // conversation provider for texts; "656565656565656565656501"
	CallProvider string // conversation provider for calls; "656565656565656565656502"

	AllowDuplicates   bool   // the location's allowDuplicateContact setting
	MatchFirst        string // what upsert and duplicate checks look at first: "email" (default) or "phone"
	IndexLag          time.Duration
	StatusGap         time.Duration // status updates are refused so long after the delivery post; 0 for none
	RateMax           int           // requests per RateInterval; 100
	RateInterval      time.Duration // 10 s
	TokenLife         time.Duration // of access tokens; 24 h
	RefreshGrace      time.Duration // 30 s
	RecordKey         string        // property by which custom object records are unique; "broadcast_id"
	MergeDND          bool          // writing dndSettings merges by channel instead of replacing
	SingleEvents      bool          // no ContactUpdate beside ContactTagUpdate and ContactDndUpdate
	PITIsProvider     bool          // the PIT may act as the conversation provider, which GHL refuses
	PhoneSearchMisses bool          // searching by phone finds nothing
	AnyVersion        bool          // every published version is taken on every path; GHL was seen to do so
	MissingStatus     int           // answer for a contact that does not exist: 400 (default, the only one in the specification) or 404
	CustomFields      []CustomField
	Users             []User
	Pipelines         []Pipeline // one with common stages when nil
	Objects           []string   // custom object keys; "custom_objects.broadcasts"
	Listeners         Listeners
}

// Listeners are the addresses that GHL posts to. An empty address gets nothing.
type Listeners struct {
	Events         string `json:"events"`         // the marketplace app's webhook URL
	Delivery       string `json:"delivery"`       // the SMS provider's delivery URL
	Workflow       string `json:"workflow"`       // the URL of the workflow action
	WorkflowSecret string `json:"workflowSecret"` // sent by workflow actions as X-GHL-Webhook-Secret
}

// CustomField is one custom field of the location's contacts.
type CustomField struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	FieldKey string `json:"fieldKey"` // "contact.x"
	DataType string `json:"dataType"` // TEXT, NUMERICAL, …
}

// User is a person who works in the location.
type User struct {
	ID        string `json:"id"`
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
	Email     string `json:"email"`
	Phone     string `json:"phone"` // as people type it, not E.164
}

// World is the location. It is safe for concurrent use.
type World struct {
	*stage.Stage
	config Config
	key    ed25519.PrivateKey

	mu            sync.Mutex
	listeners     Listeners
	contacts      map[string]*Contact
	order         []string // contact ids, oldest first
	index         map[string]*Contact
	indexing      []indexing
	notes         []*Note
	tags          map[string]string // tag id by lower-case name
	tagNames      []string
	conversations []*Conversation
	messages      []*Message
	records       []*Record
	appointments  []*Appointment
	opportunities []*Opportunity
	tokens        map[string]*grant // by access token
	refreshes     map[string]*refresh
	codes         map[string]string // user type by code
	recent        []time.Time       // of counted requests
	today         int
}

// New returns a location without contacts.
func New(c Config) *World {
	fill(&c)
	w := &World{
		Stage: stage.New(c.Stage), config: c, listeners: c.Listeners,
		contacts: map[string]*Contact{}, index: map[string]*Contact{}, tags: map[string]string{},
		tokens: map[string]*grant{}, refreshes: map[string]*refresh{}, codes: map[string]string{},
	}
	w.key = ed25519.NewKeyFromSeed(w.Bytes(ed25519.SeedSize))
	w.Decorate(w.rateHeaders)
	w.Fallback(cannot, cannot)
	w.routeContacts()
	w.routeConversations()
	w.routePlaces()
	w.routeOAuth()
	w.routeControl()
	return w
}

func fill(c *Config) {
	for _, d := range []struct {
		to    *string
		value string
	}{
		{&c.Stage.Name, "ghl"}, {&c.PIT, "pit-sandbox"}, {&c.LocationID, "SandboxLocation00001"},
		{&c.CompanyID, "SandboxCompany000001"}, {&c.Timezone, "America/New_York"},
		{&c.CalendarID, "SandboxCalendar00001"}, {&c.ClientID, "656565656565656565656500-sandbox"},
		{&c.ClientSecret, "sandbox-client-secret"}, {&c.SMSProvider, "656565656565656565656501"},
		{&c.CallProvider, "656565656565656565656502"}, {&c.MatchFirst, "email"}, {&c.RecordKey, "broadcast_id"},
	} {
		if *d.to == "" {
			*d.to = d.value
		}
	}
	if c.MissingStatus == 0 {
		c.MissingStatus = http.StatusBadRequest
	}
	if c.RateMax == 0 {
		c.RateMax = 100
	}
	for _, d := range []struct {
		to    *time.Duration
		value time.Duration
	}{{&c.RateInterval, 10 * time.Second}, {&c.TokenLife, 24 * time.Hour}, {&c.RefreshGrace, 30 * time.Second}} {
		if *d.to == 0 {
			*d.to = d.value
		}
	}
	if c.Pipelines == nil {
		c.Pipelines = []Pipeline{{ID: "SandboxPipeline00001", Name: "Sales", Stages: []Stage{
			{"5a5a5a5a-0000-4000-8000-000000000001", "New Lead"}, {"5a5a5a5a-0000-4000-8000-000000000002", "Follow Up"},
			{"5a5a5a5a-0000-4000-8000-000000000003", "Hot"}, {"5a5a5a5a-0000-4000-8000-000000000004", "Closed"},
		}}}
	}
	if c.Objects == nil {
		c.Objects = []string{"custom_objects.broadcasts"}
	}
}

// Settings returns the configuration with its defaults filled in.
func (w *World) Settings() Config { return w.config }

// PublicKeyPEM returns the key that verifies X-GHL-Signature.
func (w *World) PublicKeyPEM() (string, error) {
	der, err := x509.MarshalPKIXPublicKey(w.key.Public())
	if err != nil {
		return "", fmt.Errorf("encode the webhook key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// SetListeners changes where webhooks go from now on.
func (w *World) SetListeners(l Listeners) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners = l
}

// AppID returns the marketplace app's id, as it stands in webhooks.
func (w *World) AppID() string {
	for i := range w.config.ClientID {
		if w.config.ClientID[i] == '-' {
			return w.config.ClientID[:i]
		}
	}
	return w.config.ClientID
}

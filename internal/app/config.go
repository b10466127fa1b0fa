package app

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/retention"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

// Role is a part of the program that a process may run.
type Role string

// The roles. A process runs all of them unless told otherwise.
const (
	RoleGateway   Role = "gateway"
	RoleWeb       Role = "web"
	RoleWorker    Role = "worker"
	RoleScheduler Role = "scheduler"
)

// Roles lists all roles.
func Roles() []Role { return []Role{RoleGateway, RoleWeb, RoleWorker, RoleScheduler} }

// Config is every setting, checked. The names of the variables are those of the
// external contract, §2.
type Config struct {
	Roles        []Role
	DatabaseURL  string
	AutoMigrate  bool
	Host         string
	Port         int
	WebPort      int
	BaseURL      string
	GatewayKey   df.Secret
	AdminSecret  df.Secret
	JobsSecret   df.Secret
	Encryption   []byte
	OldKeys      [][]byte
	CORSOrigins  []string
	SpillFolder  string
	DedupeWindow time.Duration
	Hold         time.Duration
	DrainTime    time.Duration
	Unsigned     map[df.Source]bool
	Region       string
	Workers      int
	Proxies      []netip.Prefix // our own proxies, whose X-Forwarded-For is believed
	KeyRate      int            // calls per minute of one API key; 0 sets no limit

	GHL     GHLConfig
	Aloware AlowareConfig
	Verity  VerityConfig
	Clerk   ClerkConfig
	MCP     MCPConfig
	Texting TextingConfig
	Lists   ListsConfig
	Chat    ChatConfig
	Consent consent.Policy
	Alerts  AlertConfig
	Observe ObserveConfig
	Calls   CallsConfig
	Sweeps  SweepsConfig

	Retention retention.Policy
	Backup    BackupConfig

	SourceOfTruth string
	RetryLimit    int
	RetryDelay    time.Duration
	LogLevel      string
	LogFormat     string

	Shown []Shown // every setting that was read, in that order, for operators
}

// GHLConfig is how GoHighLevel is reached and believed.
type GHLConfig struct {
	APIKey        df.Secret
	LocationID    string
	BaseURL       string
	ClientID      string
	ClientSecret  df.Secret
	AuthorizeURL  string
	PublicKeys    string
	RSAPublicKeys string
	WebhookSecret df.Secret
	RatePer10s    int
	CustomFields  map[string]string
	AgentFieldKey string
	ProviderID    string // of our SMS conversation provider
}

// AlowareConfig is how Aloware is reached and believed.
type AlowareConfig struct {
	BaseURL       string
	Token         df.Secret
	BasicUser     string
	BasicPass     df.Secret
	Bearer        df.Secret
	AllowedEvents []string
	RatePerSecond int
}

// VerityConfig is how Verity is reached.
type VerityConfig struct {
	BaseURL       string
	APIKey        df.Secret
	CatalogPath   string
	CatalogMode   string
	Timeout       time.Duration
	WebhookSecret df.Secret
	Forward       bool   // pass GHL's webhooks on, when there is a secret to sign them with
	PlainSecret   bool   // send the secret itself with them too, as the original did
	AnalyticsPath string // where a broadcast's figures are, with {id}
}

// MCPConfig is what the MCP server offers, and to whom. Callers are named by
// the ids of the audit log: key:<id>, key:env, clerk:<user id>, stdio.
type MCPConfig struct {
	Tools         string // all, search, auto
	ReadOnly      bool
	Domains       []string
	Tags          []string
	Methods       []string
	ReadOnlyFor   []string            // callers that may only read
	Unconfirmed   []string            // callers that may delete without a person being asked
	DomainsOf     map[string][]string // the only domains of a caller
	RatePerMinute int                 // calls of tools by one caller; 0 sets no limit
	MaxResult     int                 // bytes of an answer
	OAuthClients  []string            // Clerk OAuth applications whose access tokens are for us
}

// ClerkConfig is how callers are verified and how our own token is got.
type ClerkConfig struct {
	SecretKey         df.Secret
	APIURL            string
	Issuer            string
	JWKSURL           string
	JWTKey            string
	AuthorizedParties []string
	Machines          []string // mch_… ids for which M2M tokens of callers must be meant
	MachineSecretKey  df.Secret
	SessionID         string
	JWTTemplate       string
	TokenTTL          time.Duration
}

// Load reads all settings. The error is Problems: everything that is wrong, at
// once.
func Load(lookup Lookup) (Config, error) {
	s := &settings{lookup: lookup}
	c := Config{
		Roles:         s.roles(),
		DatabaseURL:   s.database(),
		AutoMigrate:   s.oneOf("DFM_AUTO_MIGRATE", "true", "true", "false") == "true",
		Host:          s.host(),
		Port:          s.number("PORT", 3001, 0, 65535),
		WebPort:       s.number("WEB_PORT", 3002, 0, 65535),
		BaseURL:       s.address("BASE_URL", ""),
		GatewayKey:    s.secret("DF_MIDDLEWARE_API_KEY"),
		AdminSecret:   s.secret("DF_ADMIN_SECRET"),
		JobsSecret:    s.secret("X_DF_JOBS_SECRET"),
		Encryption:    s.key("DF_ENCRYPTION_KEY"),
		CORSOrigins:   s.origins("CORS_ALLOWED_ORIGINS"),
		SpillFolder:   s.text("DFM_SPILL_DIR", "data/spill"),
		DedupeWindow:  s.duration("DFM_DEDUPE_WINDOW", 10*time.Minute, time.Second),
		Hold:          s.duration("DFM_ALOWARE_HOLD", 10*time.Second, 0),
		DrainTime:     s.duration("DFM_DRAIN", 0, 0),
		Unsigned:      s.unsigned(),
		Region:        strings.ToUpper(s.text("DFM_DEFAULT_REGION", "US")),
		Workers:       s.number("DFM_WORKERS", 64, 1, 1000),
		Proxies:       s.networks("DFM_TRUSTED_PROXIES"),
		KeyRate:       s.number("DFM_KEY_RATE_PER_MINUTE", 60000, 0, 10_000_000),
		GHL:           s.ghl(),
		Aloware:       s.aloware(),
		Verity:        s.verity(),
		Clerk:         s.clerk(),
		Texting:       s.texting(),
		Lists:         s.lists(),
		Consent:       s.consentPolicy(),
		Alerts:        s.alerts(),
		Observe:       s.observe(),
		Calls:         s.calls(),
		Sweeps:        s.sweeps(),
		Retention:     s.retention(),
		Backup:        s.backups(),
		MCP:           s.mcp(),
		Chat:          s.chat(),
		SourceOfTruth: s.oneOf("CONTACT_SOURCE_OF_TRUTH", "merge", "merge", "ghl", "aloware"),
		RetryLimit:    s.number("JOB_RETRY_LIMIT", 10, 0, 100),
		RetryDelay:    s.duration("JOB_RETRY_DELAY", time.Minute, time.Millisecond),
		LogLevel:      s.oneOf("LOG_LEVEL", "info", "debug", "info", "warn", "error"),
		LogFormat:     s.oneOf("LOG_FORMAT", "", "text", "json"),
	}
	if c.Port != 0 && c.Port == c.WebPort {
		s.wrong("WEB_PORT", "must differ from PORT")
	}
	if previous := s.key("DF_ENCRYPTION_KEY_PREVIOUS"); previous != nil {
		c.OldKeys = [][]byte{previous}
	}
	s.backedUp(c)
	c.Shown = s.shown
	if len(s.problems) > 0 {
		return c, s.problems
	}
	return c, nil
}

// Has reports whether this process has the role.
func (c Config) Has(role Role) bool { return slices.Contains(c.Roles, role) }

func (s *settings) roles() []Role {
	names := s.list("DFM_ROLES")
	if len(names) == 0 {
		return Roles()
	}
	var roles []Role
	for _, name := range names {
		role := Role(strings.ToLower(name))
		if !slices.Contains(Roles(), role) {
			s.wrong("DFM_ROLES", "must be a comma list of gateway, web, worker, scheduler")
			return Roles()
		}
		roles = append(roles, role)
	}
	return roles
}

func (s *settings) database() string {
	value := s.raw("DATABASE_URL")
	if value == "" {
		value = "sqlite:data/dfm.db"
	}
	for _, scheme := range []string{"sqlite:", "postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(value, scheme); ok && rest != "" {
			s.open("DATABASE_URL", shownDatabase(value))
			return value
		}
	}
	s.wrong("DATABASE_URL", "must be sqlite:path/to/file.db or postgres://user:password@host/database")
	return value
}

// shownDatabase returns the database's address without user, password and
// options, which may hold a password too.
func shownDatabase(address string) string {
	if strings.HasPrefix(address, "sqlite:") {
		return address
	}
	u, err := url.Parse(address)
	if err != nil {
		return "postgres"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

func (s *settings) host() string {
	host := s.text("HOST", "127.0.0.1")
	if net.ParseIP(host) == nil && host != "localhost" {
		s.wrong("HOST", "must be an IP address to listen on, such as 127.0.0.1 or 0.0.0.0")
	}
	return host
}

func (s *settings) origins(name string) []string {
	origins := s.list(name)
	for _, origin := range origins {
		if origin != "*" && !strings.HasPrefix(origin, "https://") && !strings.HasPrefix(origin, "http://") {
			s.wrong(name, "must be a comma list of origins such as https://app.example.com")
			break
		}
	}
	return origins
}

// networks reads a comma list of addresses and networks in CIDR notation.
func (s *settings) networks(name string) []netip.Prefix {
	var networks []netip.Prefix
	for _, item := range s.list(name) {
		network, err := netip.ParsePrefix(item)
		if err != nil {
			address, err := netip.ParseAddr(item)
			if err != nil {
				s.wrong(name, "must be a comma list of addresses or networks such as 10.0.0.0/8")
				return nil
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		networks = append(networks, network)
	}
	return networks
}

func (s *settings) unsigned() map[df.Source]bool {
	sources := map[df.Source]bool{}
	for _, name := range s.list("DFM_ALLOW_UNSIGNED") {
		source := df.Source(strings.ToLower(name))
		switch source {
		case df.SourceGHL, df.SourceAloware, df.SourceTexting, df.SourceBroadcast:
			sources[source] = true
		default:
			s.wrong("DFM_ALLOW_UNSIGNED", "must be a comma list of ghl, aloware, texting, broadcast")
		}
	}
	return sources
}

func (s *settings) ghl() GHLConfig {
	c := GHLConfig{
		APIKey:        s.secret("GHL_API_KEY"),
		LocationID:    s.text("GHL_LOCATION_ID", ""),
		BaseURL:       s.address("GHL_BASE_URL", "https://services.leadconnectorhq.com"),
		ClientID:      s.text("GHL_CLIENT_ID", ""),
		ClientSecret:  s.secret("GHL_CLIENT_SECRET"),
		AuthorizeURL:  s.address("GHL_AUTHORIZE_URL", "https://marketplace.gohighlevel.com/v2/oauth/chooselocation"),
		PublicKeys:    s.raw("GHL_WEBHOOK_PUBLIC_KEYS"),
		RSAPublicKeys: s.raw("GHL_WEBHOOK_RSA_PUBLIC_KEYS"),
		WebhookSecret: s.secret("GHL_WEBHOOK_SECRET"),
		RatePer10s:    s.number("GHL_RATE_PER_10S", 80, 1, 100000),
		CustomFields:  s.pairs("DFM_CUSTOM_FIELDS"),
		AgentFieldKey: s.text("GHL_ASSIGNED_AGENT_FIELD_KEY", "assignedAgent"),
		ProviderID:    s.text("GHL_CONVERSATION_PROVIDER_ID", ""),
	}
	if c.APIKey.Set() && c.LocationID == "" {
		s.wrong("GHL_LOCATION_ID", "must be set together with GHL_API_KEY")
	}
	if (c.ClientID == "") != !c.ClientSecret.Set() {
		s.wrong("GHL_CLIENT_SECRET", "GHL_CLIENT_ID and GHL_CLIENT_SECRET must be set together")
	}
	return c
}

// pairs reads "GHL field name=Aloware field name" separated by commas.
func (s *settings) pairs(name string) map[string]string {
	pairs := map[string]string{}
	for _, item := range s.list(name) {
		left, right, ok := strings.Cut(item, "=")
		if left, right = strings.TrimSpace(left), strings.TrimSpace(right); !ok || left == "" || right == "" {
			s.wrong(name, "must be a comma list of ghlField=alowareField")
			break
		}
		pairs[left] = right
	}
	return pairs
}

func (s *settings) aloware() AlowareConfig {
	c := AlowareConfig{
		BaseURL:       s.address("ALOWARE_BASE_URL", "https://app.aloware.io/api/v1"),
		Token:         s.secret("ALOWARE_API_TOKEN"),
		BasicUser:     s.text("ALOWARE_WEBHOOK_BASIC_USER", ""),
		BasicPass:     s.secret("ALOWARE_WEBHOOK_BASIC_PASS"),
		Bearer:        s.secret("ALOWARE_WEBHOOK_BEARER"),
		AllowedEvents: s.list("ALOWARE_WEBHOOK_ALLOWED_EVENTS"),
		RatePerSecond: s.number("ALOWARE_RATE_PER_SECOND", 2, 1, 10000),
	}
	if (c.BasicUser == "") != !c.BasicPass.Set() {
		s.wrong("ALOWARE_WEBHOOK_BASIC_PASS", "ALOWARE_WEBHOOK_BASIC_USER and ALOWARE_WEBHOOK_BASIC_PASS must be set together")
	}
	return c
}

func (s *settings) verity() VerityConfig {
	return VerityConfig{
		BaseURL:       s.address("VERITY_BASE_URL", "http://localhost:3000"),
		APIKey:        s.secret("VERITY_API_KEY"),
		CatalogPath:   s.text("VERITY_CATALOG_PATH", ""),
		CatalogMode:   s.oneOf("VERITY_CATALOG_MODE", "warn", "off", "warn", "enforce"),
		Timeout:       s.duration("VERITY_TIMEOUT", 30*time.Second, 10*time.Millisecond),
		WebhookSecret: s.secret("VERITY_WEBHOOK_SECRET"),
		Forward:       s.oneOf("DFM_FORWARD_GHL", "true", "true", "false") == "true",
		PlainSecret:   s.oneOf("VERITY_FORWARD_PLAIN_SECRET", "false", "true", "false") == "true",
		AnalyticsPath: s.analyticsPath(),
	}
}

func (s *settings) analyticsPath() string {
	const name = "VERITY_BROADCAST_ANALYTICS_PATH"
	path := s.text(name, "/api/comms/broadcasts/{id}/analytics")
	if !strings.HasPrefix(path, "/api/") || !strings.Contains(path, "{id}") {
		s.wrong(name, "must be a path that starts with /api/ and has {id} in it")
	}
	return path
}

func (s *settings) clerk() ClerkConfig {
	return ClerkConfig{
		SecretKey:         s.secret("CLERK_SECRET_KEY"),
		APIURL:            s.address("CLERK_API_URL", "https://api.clerk.com/v1"),
		Issuer:            s.text("CLERK_ISSUER", ""),
		JWKSURL:           s.address("CLERK_JWKS_URL", ""),
		JWTKey:            s.raw("CLERK_JWT_KEY"),
		AuthorizedParties: s.list("CLERK_AUTHORIZED_PARTIES"),
		Machines:          s.list("CLERK_MACHINE_IDS"),
		MachineSecretKey:  s.secret("CLERK_MACHINE_SECRET_KEY"),
		SessionID:         s.text("CLERK_SESSION_ID", ""),
		JWTTemplate:       s.text("CLERK_JWT_TEMPLATE", ""),
		TokenTTL:          s.duration("CLERK_TOKEN_TTL", time.Hour, 30*time.Second),
	}
}

func (s *settings) mcp() MCPConfig {
	c := MCPConfig{
		Tools:         s.oneOf("DFM_MCP_TOOLS", "auto", "all", "search", "auto"),
		ReadOnly:      s.oneOf("DFM_MCP_READ_ONLY", "false", "true", "false") == "true",
		Domains:       s.list("DFM_MCP_DOMAINS"),
		Tags:          s.list("DFM_MCP_TAGS"),
		Methods:       s.list("DFM_MCP_METHODS"),
		ReadOnlyFor:   s.list("DFM_MCP_READ_ONLY_CALLERS"),
		Unconfirmed:   s.list("DFM_MCP_UNCONFIRMED_CALLERS"),
		DomainsOf:     s.manyPairs("DFM_MCP_CALLER_DOMAINS", "must be a comma list of caller=domain, such as stdio=comms"),
		RatePerMinute: s.number("DFM_MCP_RATE_PER_MINUTE", 600, 0, 1_000_000),
		OAuthClients:  s.list("DFM_MCP_OAUTH_CLIENTS"),
		MaxResult:     s.number("DFM_MCP_MAX_RESULT", 60_000, 1_000, 10_000_000),
	}
	for _, method := range c.Methods {
		if !catalogue.KnownMethod(strings.ToUpper(method)) {
			s.wrong("DFM_MCP_METHODS", "must be a comma list of "+strings.Join(catalogue.Methods(), ", "))
			break
		}
	}
	return c
}

// manyPairs reads "name=value" separated by commas, where a name may stand more
// than once.
func (s *settings) manyPairs(name, want string) map[string][]string {
	pairs := map[string][]string{}
	for _, item := range s.list(name) {
		left, right, ok := strings.Cut(item, "=")
		if left, right = strings.TrimSpace(left), strings.TrimSpace(right); !ok || left == "" || right == "" {
			s.wrong(name, want)
			break
		}
		pairs[left] = append(pairs[left], right)
	}
	return pairs
}

// GatewayAddress is where the gateway listens.
func (c Config) GatewayAddress() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// WebAddress is where the web app listens.
func (c Config) WebAddress() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.WebPort)) }

// String names what is configured and never a value that could be secret.
func (c Config) String() string {
	on := func(set bool) string {
		if set {
			return "configured"
		}
		return "not configured"
	}
	return fmt.Sprintf("roles=%v database=%s ghl=%s aloware=%s verity=%s", c.Roles,
		strings.SplitN(c.DatabaseURL, ":", 2)[0], on(c.GHL.APIKey.Set() || c.GHL.ClientID != ""),
		on(c.Aloware.Token.Set()), c.Verity.BaseURL)
}

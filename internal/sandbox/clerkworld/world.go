package clerkworld

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Config says how the instance is set up. The zero value of each field gives a
// usable default.
type Config struct {
	Stage stage.Config

	Issuer       string        // "https://clerk.sandbox.test"
	SecretKey    string        // of the Backend API; "sk_test_sandbox"
	MachineKey   string        // "ak_sandbox"
	DefaultLife  time.Duration // of tokens when nothing is asked; 60 s
	IgnoreAsked  bool          // expires_in_seconds is accepted and has no effect
	OmitExp      bool          // tokens carry no exp at all
	TemplateLife time.Duration // of template tokens when nothing is asked; 60 s

	// Key is the first signing key. When nil one is made, at its first use,
	// which takes a good part of a second.
	Key *rsa.PrivateKey
}

// key is one signing key of the instance.
type key struct {
	id      string
	private *rsa.PrivateKey
}

// session is one session of a user.
type session struct {
	userID string
	ended  bool
}

// World is the instance. It is safe for concurrent use.
type World struct {
	*stage.Stage
	config Config

	mu       sync.Mutex
	keys     []key // the last one signs, all are published
	stranger *rsa.PrivateKey
	sessions map[string]*session
	machines map[string]time.Time // expiry of opaque machine tokens; zero means never
	minted   int
}

const keyBits = 2048

// New returns an instance with one key and no sessions.
func New(c Config) *World {
	for _, d := range []struct {
		to    *string
		value string
	}{{&c.Stage.Name, "clerk"}, {&c.Issuer, "https://clerk.sandbox.test"}, {&c.SecretKey, "sk_test_sandbox"}, {&c.MachineKey, "ak_sandbox"}} {
		if *d.to == "" {
			*d.to = d.value
		}
	}
	if c.DefaultLife == 0 {
		c.DefaultLife = time.Minute
	}
	if c.TemplateLife == 0 {
		c.TemplateLife = time.Minute
	}
	w := &World{Stage: stage.New(c.Stage), config: c, sessions: map[string]*session{}, machines: map[string]time.Time{}}
	if c.Key != nil {
		w.keys = []key{{"ins_" + w.ID(24), c.Key}}
	}
	missing := func(rw http.ResponseWriter, _ *http.Request) {
		w.refuse(rw, http.StatusNotFound, "resource_not_found", "The URL does not exist")
	}
	w.Fallback(missing, missing)
	w.Route("public key set", "GET", "/.well-known/jwks.json", func(rw http.ResponseWriter, _ *http.Request) { stage.JSON(rw, 200, w.KeySet()) })
	secret, machine := w.config.SecretKey, w.config.MachineKey
	w.Route("key set", "GET", "/v1/jwks", w.keyed(secret, func(rw http.ResponseWriter, _ *http.Request) {
		stage.JSON(rw, 200, w.KeySet())
	}))
	w.Route("mint session token", "POST", "/v1/sessions/{id}/tokens", w.keyed(secret, w.mintSession))
	w.Route("mint template token", "POST", "/v1/sessions/{id}/tokens/{template}", w.keyed(secret, w.mintSession))
	w.Route("get session", "GET", "/v1/sessions/{id}", w.keyed(secret, w.getSession))
	w.Route("create session", "POST", "/v1/sessions", w.keyed(secret, w.createSession))
	w.Route("mint machine token", "POST", "/v1/m2m_tokens", w.keyed(machine, w.mintMachine))
	w.Route("verify machine token", "POST", "/v1/m2m_tokens/verify", w.keyed(machine, w.verifyMachine))
	w.routeControl()
	return w
}

// Settings returns the configuration with its defaults filled in.
func (w *World) Settings() Config { return w.config }

// ErrNoSession is returned for sessions that the instance does not have.
var ErrNoSession = errors.New("no such session")

// RotateKey makes a new signing key. The old ones stay in the key set when keep
// is true, and are withdrawn otherwise.
func (w *World) RotateKey(keep bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !keep {
		w.keys = nil
	}
	w.keys = append(w.keys, key{"ins_" + w.ID(24), makeKey()})
}

func makeKey() *rsa.PrivateKey {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		panic("clerkworld: no RSA key: " + err.Error()) // the system's randomness does not fail
	}
	return private
}

// ready makes the first key. The caller holds mu.
func (w *World) ready() []key {
	if len(w.keys) == 0 {
		w.keys = []key{{"ins_" + w.ID(24), makeKey()}}
	}
	return w.keys
}

// KeySet returns the published keys as a JSON Web Key Set.
func (w *World) KeySet() map[string]any {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := []map[string]any{}
	for _, k := range w.ready() {
		list = append(list, map[string]any{
			"use": "sig", "kty": "RSA", "kid": k.id, "alg": "RS256",
			"n": base64.RawURLEncoding.EncodeToString(k.private.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.private.E)).Bytes()),
		})
	}
	return map[string]any{"keys": list}
}

// StartSession opens a session for a user and returns its id.
func (w *World) StartSession(userID string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := "sess_" + w.ID(27)
	w.sessions[id] = &session{userID: userID}
	return id
}

// EndSession ends a session, as a week of life or an administrator does.
func (w *World) EndSession(id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sessions[id]
	if s == nil {
		return fmt.Errorf("end session: %w", ErrNoSession)
	}
	s.ended = true
	return nil
}

// Minted returns how many tokens the Backend API has given out.
func (w *World) Minted() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.minted
}

// refuse answers with Clerk's error envelope and trace id.
func (w *World) refuse(rw http.ResponseWriter, status int, code, text string) {
	trace := w.HexID(16)
	rw.Header().Set("Clerk-Trace-Id", trace)
	stage.JSON(rw, status, map[string]any{
		"errors":         []map[string]any{{"message": text, "long_message": text, "code": code, "meta": map[string]any{}}},
		"clerk_trace_id": trace,
	})
}

// keyed asks for a bearer key.
func (w *World) keyed(want string, next http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			w.refuse(rw, http.StatusUnauthorized, "authorization_header_format_invalid", "Invalid Authorization header format")
			return
		}
		if subtle.ConstantTimeCompare([]byte(token), []byte(want)) != 1 {
			w.refuse(rw, http.StatusUnauthorized, "clerk_key_invalid", "The provided Clerk Secret Key is invalid.")
			return
		}
		next(rw, r)
	}
}

func read(r *http.Request) (stage.Object, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return stage.ReadObject(raw)
}

// life reads a lifetime that may be asked for: 30 s to ten years.
func life(body stage.Object, name string) (time.Duration, bool) {
	if !body.Has(name) {
		return 0, true
	}
	seconds, err := strconv.ParseInt(body.Text(name), 10, 64)
	if err != nil || seconds < 30 || seconds > 315360000 {
		return 0, false
	}
	return time.Duration(seconds) * time.Second, true
}

func (w *World) mintSession(rw http.ResponseWriter, r *http.Request) {
	body, err := read(r)
	if err != nil {
		w.refuse(rw, http.StatusBadRequest, "request_body_invalid", "Request body invalid")
		return
	}
	asked, ok := life(body, "expires_in_seconds")
	if !ok {
		w.refuse(rw, http.StatusUnprocessableEntity, "form_param_value_invalid", "expires_in_seconds must be between 30 and 315360000")
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sessions[r.PathValue("id")]
	if s == nil || s.ended {
		w.refuse(rw, http.StatusNotFound, "resource_not_found", "Session not found")
		return
	}
	lasts := w.config.DefaultLife
	template := r.PathValue("template")
	if template != "" {
		lasts = w.config.TemplateLife
	}
	if asked > 0 && !w.config.IgnoreAsked {
		lasts = asked
	}
	claims := w.claims(s.userID, r.PathValue("id"), lasts)
	if template != "" {
		delete(claims, "sid") // custom templates carry neither
		delete(claims, "v")
	}
	w.minted++
	stage.JSON(rw, http.StatusOK, map[string]any{"object": "token", "jwt": w.sign(map[string]any{}, claims)})
}

func (w *World) getSession(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sessions[r.PathValue("id")]
	if s == nil {
		w.refuse(rw, http.StatusNotFound, "resource_not_found", "Session not found")
		return
	}
	status := "active"
	if s.ended {
		status = "ended"
	}
	stage.JSON(rw, http.StatusOK, map[string]any{"object": "session", "id": r.PathValue("id"), "user_id": s.userID, "status": status})
}

// createSession is refused, as on production instances.
func (w *World) createSession(rw http.ResponseWriter, _ *http.Request) {
	w.refuse(rw, http.StatusForbidden, "operation_not_allowed_on_production_instance", "Sessions cannot be created on production instances")
}

func (w *World) mintMachine(rw http.ResponseWriter, r *http.Request) {
	body, err := read(r)
	if err != nil {
		w.refuse(rw, http.StatusBadRequest, "request_body_invalid", "Request body invalid")
		return
	}
	lasts := time.Duration(0)
	if seconds, err := strconv.ParseInt(body.Text("seconds_until_expiration"), 10, 64); err == nil {
		lasts = time.Duration(seconds) * time.Second
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.minted++
	id, now := "mt_"+w.ID(27), w.Now()
	answer := map[string]any{
		"object": "machine_to_machine_token", "id": id, "subject": "mch_sandbox", "claims": body["claims"], "scopes": []string{},
		"revoked": false, "expired": false, "expiration": nil, "created_at": now.UnixMilli(), "updated_at": now.UnixMilli(),
	}
	if lasts > 0 {
		answer["expiration"] = now.Add(lasts).UnixMilli()
	}
	if body.Text("token_format") == "jwt" {
		answer["token"] = w.sign(map[string]any{}, w.machineClaims(body, lasts))
	} else {
		answer["token"] = w.opaque(body, lasts)
	}
	stage.JSON(rw, http.StatusCreated, answer)
}

// opaque returns a machine token that has to be looked up: a living one when the
// request says for how long that must still live, else a new one.
func (w *World) opaque(body stage.Object, lasts time.Duration) string {
	if seconds, err := strconv.ParseInt(body.Text("min_remaining_ttl_seconds"), 10, 64); err == nil {
		needed := w.Now().Add(time.Duration(seconds) * time.Second)
		for token, expires := range w.machines {
			if expires.IsZero() || expires.After(needed) {
				w.minted--
				return token
			}
		}
	}
	token := "mt_" + w.ID(40)
	w.machines[token] = time.Time{}
	if lasts > 0 {
		w.machines[token] = w.Now().Add(lasts)
	}
	return token
}

func (w *World) verifyMachine(rw http.ResponseWriter, r *http.Request) {
	body, err := read(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	expires, known := w.machines[body.Text("token")]
	if err != nil || !known || !expires.IsZero() && w.Now().After(expires) {
		w.refuse(rw, http.StatusNotFound, "token-invalid", "Token not found")
		return
	}
	stage.JSON(rw, http.StatusOK, map[string]any{"object": "machine_to_machine_token", "subject": "mch_sandbox", "revoked": false, "expired": false})
}

func (w *World) routeControl() {
	w.Control("POST /_sandbox/sessions", func(rw http.ResponseWriter, r *http.Request) {
		order := struct {
			UserID string `json:"userId"`
		}{"user_sandbox"}
		if stage.Order(rw, r, &order) {
			stage.JSON(rw, http.StatusCreated, map[string]string{"id": w.StartSession(order.UserID)})
		}
	})
	w.Control("DELETE /_sandbox/sessions/{id}", func(rw http.ResponseWriter, r *http.Request) {
		if err := w.EndSession(r.PathValue("id")); err != nil {
			stage.JSON(rw, http.StatusNotFound, map[string]string{"error": err.Error()})
			return
		}
		stage.JSON(rw, http.StatusOK, map[string]bool{"done": true})
	})
	w.Control("POST /_sandbox/rotate", func(rw http.ResponseWriter, r *http.Request) {
		var order struct {
			Keep bool `json:"keep"`
		}
		if stage.Order(rw, r, &order) {
			w.RotateKey(order.Keep)
			stage.JSON(rw, http.StatusOK, w.KeySet())
		}
	})
	w.Control("POST /_sandbox/mint", func(rw http.ResponseWriter, r *http.Request) {
		order := struct {
			Header map[string]any `json:"header"`
			Claims map[string]any `json:"claims"`
		}{Claims: w.SessionClaims("user_sandbox", "sess_sandbox", time.Hour)}
		if stage.Order(rw, r, &order) {
			stage.JSON(rw, http.StatusOK, map[string]string{"jwt": w.Mint(order.Header, order.Claims)})
		}
	})
}

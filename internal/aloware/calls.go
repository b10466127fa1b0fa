package aloware

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/df-middleware/dfm/internal/df"
)

// Aloware's endpoints. What has no idempotency key and acts twice when sent twice
// is not repeatable: a text goes out again, an enrolment starts a sequence anew.
var (
	formsEndpoint     = endpoint{"write contact", "/webhook/forms", true}
	lookupEndpoint    = endpoint{"look up contact", "/webhook/contact/phone-number", true}
	usersEndpoint     = endpoint{"list users", "/webhook/users", true}
	enrollEndpoint    = endpoint{"enroll in sequence", "/webhook/sequence-enroll", false}
	disenrollEndpoint = endpoint{"disenroll from sequences", "/webhook/sequence-disenroll", true}
	unlistEndpoint    = endpoint{"remove from all lists", "/webhook/powerdialer-remove-contact-from-lists", true}
	clearEndpoint     = endpoint{"clear list", "/webhook/powerdialer-clear-list", true}
	clearAllEndpoint  = endpoint{"clear user lists", "/webhook/powerdialer-clear-user-lists", true}
	sendEndpoint      = endpoint{"send text", "/webhook/sms-gateway/send", false}
)

// Upsert writes the given fields, under Aloware's own names, to the contact that
// has the phone number, and creates it when there is none. Fields that are not
// given keep their values. The reply carries no id. It returns df.CodeDuplicate
// should Aloware refuse to touch a contact that exists (409, or 400 saying so).
func (c *Client) Upsert(ctx context.Context, phone df.Phone, fields map[string]any) (created bool, err error) {
	if phone == "" {
		return false, c.refuse(formsEndpoint, df.CodeInvalid, "Aloware knows contacts by phone number, and there is none")
	}
	body := make(map[string]any, len(fields)+3)
	for name, value := range fields {
		body[name] = value
	}
	body["phone_number"], body["force_update"] = string(phone), true
	got, err := c.post(ctx, formsEndpoint, body)
	if exists(err) {
		err = recode(err, func(failure *df.CallError) { failure.Code = df.CodeDuplicate })
	}
	return got.status == http.StatusCreated, err
}

// exists reports whether a 400 of POST /forms says that the contact is there.
func exists(err error) bool {
	return df.IsCode(err, df.CodeInvalid) && strings.Contains(strings.ToLower(err.Error()), "already exist")
}

// recode returns the verdict in err under another code.
func recode(err error, change func(*df.CallError)) error {
	var failure *df.CallError
	if !errors.As(err, &failure) {
		return err
	}
	changed := *failure
	change(&changed)
	return &changed
}

// SetDoNotCall sets or clears is_dnc. Beware that Upsert creates a contact where
// there is none. Whether 0 clears the flag is not documented, so read it back.
// There is no way to write the text opt-out flag.
func (c *Client) SetDoNotCall(ctx context.Context, phone df.Phone, on bool) error {
	value := 0
	if on {
		value = 1
	}
	_, err := c.Reserved().Upsert(ctx, phone, map[string]any{"is_dnc": value})
	return err
}

// AddToLists puts a contact on call lists. Aloware has no call for that; POST
// /forms takes the lists' ids. Lists are made by hand in Aloware.
func (c *Client) AddToLists(ctx context.Context, phone df.Phone, listIDs ...string) error {
	if len(listIDs) == 0 {
		return nil
	}
	_, err := c.Upsert(ctx, phone, map[string]any{"list_ids": strings.Join(listIDs, ",")})
	return err
}

// lookup returns the raw contact that has the phone number. df.CodeNotFound means
// that Aloware said there is none; any other failure says nothing about it.
func (c *Client) lookup(ctx context.Context, phone df.Phone) (record, error) {
	if phone == "" {
		return nil, c.refuse(lookupEndpoint, df.CodeInvalid, "Aloware finds contacts by phone number only")
	}
	got, err := c.get(ctx, lookupEndpoint, url.Values{"phone_number": {string(phone)}})
	if err != nil {
		return nil, err
	}
	if contact := contactIn(got.body); contact != nil {
		return contact, nil
	}
	if strings.Contains(strings.ToLower(errorText(got.body)), "not found") {
		return nil, c.refuse(lookupEndpoint, df.CodeNotFound, "Contact not found.")
	}
	failure := c.refuse(lookupEndpoint, df.CodeGarbled, "the answer holds no contact")
	failure.Outcome, failure.Status = df.RetryLater, got.status
	return nil, failure
}

// contactIn finds the contact at the root, in contact or in data: the envelope
// is not documented. A contact without an id is none.
func contactIn(body []byte) record {
	root, err := parseRecord(body)
	if err != nil {
		return nil
	}
	data := root.object("data")
	for _, candidate := range [...]record{root, root.object("contact"), data, data.object("contact")} {
		if candidate.text("id") != "" {
			return candidate
		}
	}
	return nil
}

// User is one of the account's users.
type User struct {
	ID     string
	Name   string
	Email  string
	Status int // 0 offline, 1 available, 2 busy, 3 on break, 4 on call, 5 wrap-up, 6 ringing
}

// Users lists all users; Aloware knows no pages here.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	got, err := c.get(ctx, usersEndpoint, nil)
	if err != nil {
		return nil, err
	}
	var rows []map[string]any
	decoder := json.NewDecoder(bytes.NewReader(got.body))
	decoder.UseNumber()
	if decoder.Decode(&rows) != nil || rows == nil {
		failure := c.refuse(usersEndpoint, df.CodeGarbled, "the answer is not a list of users")
		failure.Outcome, failure.Status = df.RetryLater, got.status
		return nil, failure
	}
	users := make([]User, 0, len(rows))
	for _, row := range rows {
		if user := newUser(newRecord(row)); user.ID != "" {
			users = append(users, user)
		}
	}
	return users, nil
}

// CheckToken asks whether Aloware takes our token, the way its own n8n node does.
// A web page instead of JSON is how Aloware may refuse one, so it is
// df.CodeUnauthorized here.
func (c *Client) CheckToken(ctx context.Context) error {
	_, err := c.Users(ctx)
	if !df.IsCode(err, df.CodeGarbled) {
		return err
	}
	return recode(err, func(failure *df.CallError) {
		failure.Code, failure.Outcome = df.CodeUnauthorized, df.Refused
		failure.Message = "Aloware answered with a web page: the token is wrong, or ALOWARE_BASE_URL is"
	})
}

// Enroll puts a contact into a sequence. With force, one that is in it already
// starts over. It is not repeatable: when its outcome is unknown, Disenroll first.
func (c *Client) Enroll(ctx context.Context, phone df.Phone, sequenceID string, force bool) error {
	_, err := c.post(ctx, enrollEndpoint, map[string]any{"sequence_id": id(sequenceID), "source": "phone_number",
		"phone_number": string(phone), "force_enroll": force})
	return err
}

// Disenroll takes a contact out of all sequences; Aloware offers no single one.
// One that is in none is done.
func (c *Client) Disenroll(ctx context.Context, phone df.Phone) error {
	_, err := c.post(ctx, disenrollEndpoint, map[string]any{"source": "phone_number", "phone_number": string(phone)})
	return unlessAbsent(err)
}

// RemoveFromAllLists takes a contact off every Power Dialer list; Aloware offers
// no single one. A contact that does not exist is on none.
func (c *Client) RemoveFromAllLists(ctx context.Context, contactID string) error {
	_, err := c.post(ctx, unlistEndpoint, map[string]any{"contact_id": id(contactID)})
	return unlessAbsent(err)
}

// unlessAbsent forgives a refusal to remove what is not there. Aloware answers
// 404 for a contact it does not know and documents 400 for sequences.
func unlessAbsent(err error) error {
	if df.IsCode(err, df.CodeNotFound) {
		return nil
	}
	if df.IsCode(err, df.CodeInvalid) {
		text := strings.ToLower(err.Error())
		for _, words := range [...]string{"not found", "not exist", "not enrolled", "not in any", "no sequence"} {
			if strings.Contains(text, words) {
				return nil
			}
		}
	}
	return err
}

// ClearList empties one list. The id is the one of the classic admin pages; the
// newer ones show another.
func (c *Client) ClearList(ctx context.Context, listID string) error {
	_, err := c.post(ctx, clearEndpoint, map[string]any{"list_id": id(listID)})
	return err
}

// ClearUserLists empties every Power Dialer list of a user.
func (c *Client) ClearUserLists(ctx context.Context, userID string) error {
	_, err := c.post(ctx, clearAllEndpoint, map[string]any{"user_id": id(userID)})
	return err
}

// Text is a text message to send.
type Text struct {
	From     df.Phone // one of the account's numbers, or
	LineID   string   // the line to send from
	To       df.Phone
	Message  string
	ImageURL string // makes it an MMS
	UserID   string // on whose behalf; empty means the company
}

// maxText is the length that Aloware documents for one text.
const maxText = 160

// SendText hands a text to Aloware, which means no more than accepted (202): the
// reply carries no id. Aloware takes texts to people who opted out, so the caller
// passes the consent gate first. Texts over 160 characters are refused, never
// cut. It is not repeatable: an unknown outcome stays unknown.
func (c *Client) SendText(ctx context.Context, text Text) error {
	if utf8.RuneCountInString(text.Message) > maxText {
		return c.refuse(sendEndpoint, df.CodeInvalid, "the text is longer than Aloware's 160 characters")
	}
	if text.To == "" || text.Message == "" && text.ImageURL == "" || text.From == "" && text.LineID == "" {
		return c.refuse(sendEndpoint, df.CodeInvalid, "a text needs a sender, a receiver and a message")
	}
	body := map[string]any{"to": string(text.To), "message": text.Message}
	if text.LineID != "" {
		body["line_id"] = id(text.LineID)
	} else {
		body["from"] = string(text.From)
	}
	if text.ImageURL != "" {
		body["image_url"] = text.ImageURL
	}
	if text.UserID != "" {
		body["user_id"] = id(text.UserID)
	}
	_, err := c.post(ctx, sendEndpoint, body)
	return err
}

func newUser(r record) User {
	status, err := json.Number(r.text("agentstatus")).Int64()
	if err != nil {
		status = 0
	}
	return User{ID: r.text("id"), Name: r.text("name"), Email: strings.ToLower(r.text("email")), Status: int(status)}
}

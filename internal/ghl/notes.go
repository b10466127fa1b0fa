package ghl

import (
	"context"
	"net/http"
	"time"
)

// Note is a note on a contact.
type Note struct {
	ID        string
	ContactID string
	UserID    string
	Title     string
	Body      string
	AddedAt   time.Time
}

func readNote(o object) Note {
	return Note{ID: o.id("id", "_id"), ContactID: o.id("contactId"), UserID: o.id("userId"), Title: o.text("title"),
		Body: o.text("body"), AddedAt: o.time("dateAdded")}
}

// NoteDraft is what a note is created or updated with. Empty properties are left out.
type NoteDraft struct {
	Body   string `json:"body,omitempty"`
	UserID string `json:"userId,omitempty"`
	Title  string `json:"title,omitempty"`
}

func notesPath(contactID string) string { return "/contacts/" + segment(contactID) + "/notes" }

func notePath(contactID, noteID string) string { return notesPath(contactID) + "/" + segment(noteID) }

// ListNotes returns all notes of a contact; GHL does not page them.
func (c *Client) ListNotes(ctx context.Context, contactID string) ([]Note, error) {
	_, rows, err := c.rows(ctx, request{operation: "list notes", family: FamilyContacts, method: http.MethodGet,
		path: notesPath(contactID)}, "notes")
	if err != nil {
		return nil, err
	}
	notes := make([]Note, 0, len(rows))
	for _, row := range rows {
		notes = append(notes, readNote(row))
	}
	return notes, nil
}

// GetNote reads one note.
func (c *Client) GetNote(ctx context.Context, contactID, noteID string) (Note, error) {
	o, err := c.fetch(ctx, request{operation: "get note", family: FamilyContacts, method: http.MethodGet,
		path: notePath(contactID, noteID)}, "note")
	if err != nil {
		return Note{}, err
	}
	return readNote(o), nil
}

// CreateNote adds a note to a contact. After an unknown outcome the notes are
// listed before it is tried again.
func (c *Client) CreateNote(ctx context.Context, contactID string, draft NoteDraft) (Note, error) {
	o, err := c.fetch(ctx, request{operation: "create note", family: FamilyContacts, method: http.MethodPost,
		path: notesPath(contactID), body: draft}, "note")
	if err != nil {
		return Note{}, err
	}
	return readNote(o), nil
}

// UpdateNote changes a note.
func (c *Client) UpdateNote(ctx context.Context, contactID, noteID string, draft NoteDraft) error {
	_, err := c.do(ctx, request{operation: "update note", family: FamilyContacts, method: http.MethodPut,
		path: notePath(contactID, noteID), repeatable: true, body: draft})
	return err
}

// DeleteNote deletes a note.
func (c *Client) DeleteNote(ctx context.Context, contactID, noteID string) error {
	_, err := c.do(ctx, request{operation: "delete note", family: FamilyContacts, method: http.MethodDelete,
		path: notePath(contactID, noteID), repeatable: true})
	return err
}

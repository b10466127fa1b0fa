package df

import "errors"

// Error is a failure that an outsider may read: a stable code for programs, a
// safe sentence for people, and a cause that stays inside.
type Error struct {
	Code    string // UPPER_SNAKE, stable
	Message string // safe text, no secrets, no personal data
	Status  int    // HTTP status that goes with it
	Details any    // optional, safe
	Err     error  // cause, for our own logs only
}

// Error returns code and message; the cause is left to logs.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError returns err as an Error: the one it wraps, or INTERNAL for any other.
func AsError(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{Code: "INTERNAL", Message: "something went wrong on our side", Status: 500, Err: err}
}

package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Problem is one setting that cannot be used as it is.
type Problem struct {
	Name string // the variable
	Want string // what it should look like; never its value
}

// Problems is all that is wrong with the settings, reported together.
type Problems []Problem

// Error lists the problems, one a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Name + ": " + one.Want
	}
	return strings.Join(lines, "\n")
}

// Lookup finds a variable, as os.LookupEnv does.
type Lookup func(name string) (string, bool)

// Shown is a setting as an operator may see it. One is secret, and its value is
// missing here, unless whoever reads it says otherwise.
type Shown struct {
	Name   string
	Value  string
	Secret bool
	Set    bool
}

// settings reads variables and collects what is wrong with them, and what they
// came to.
type settings struct {
	lookup   Lookup
	problems Problems
	shown    []Shown
}

// note remembers a setting that was read, once.
func (s *settings) note(shown Shown) {
	if i := slices.IndexFunc(s.shown, func(have Shown) bool { return have.Name == shown.Name }); i >= 0 {
		s.shown[i] = shown
		return
	}
	s.shown = append(s.shown, shown)
}

// open remembers the effective value of a setting that is not secret. One whose
// name says that it is stays hidden, whichever way it was read.
func (s *settings) open(name string, value any) {
	text, free := value.(string)
	if free && slices.ContainsFunc(hiddenWords, func(word string) bool { return strings.Contains(name, word) }) {
		s.note(Shown{Name: name, Secret: true, Set: text != ""})
		return
	}
	s.note(Shown{Name: name, Value: fmt.Sprint(value), Set: true})
}

var hiddenWords = []string{"SECRET", "TOKEN", "PASS", "BEARER", "PRIVATE", "API_KEY"}

func (s *settings) wrong(name, want string) {
	s.problems = append(s.problems, Problem{name, want})
}

// raw returns a variable trimmed, or what is in the file that NAME_FILE names.
func (s *settings) raw(name string) string {
	value := s.read(name)
	s.note(Shown{Name: name, Secret: true, Set: value != ""})
	return value
}

func (s *settings) read(name string) string {
	value, _ := s.lookup(name)
	value = strings.TrimSpace(value)
	file, _ := s.lookup(name + "_FILE")
	file = strings.TrimSpace(file)
	switch {
	case file == "":
		return value
	case value != "":
		s.wrong(name, "set either "+name+" or "+name+"_FILE, not both")
		return value
	}
	data, err := os.ReadFile(file)
	if err != nil {
		s.wrong(name+"_FILE", "must name a readable file")
		return ""
	}
	return strings.TrimSpace(string(data))
}

func (s *settings) text(name, otherwise string) string {
	value := s.raw(name)
	if value == "" {
		value = otherwise
	}
	s.open(name, value)
	return value
}

func (s *settings) secret(name string) df.Secret { return df.Secret(s.raw(name)) }

func (s *settings) number(name string, otherwise, least, most int) int {
	n := s.parseNumber(name, otherwise, least, most)
	s.open(name, n)
	return n
}

func (s *settings) parseNumber(name string, otherwise, least, most int) int {
	value := s.raw(name)
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		s.wrong(name, fmt.Sprintf("must be a whole number from %d to %d", least, most))
		return otherwise
	}
	return n
}

// duration reads "90s", "15m", "1h"; a bare number is seconds.
func (s *settings) duration(name string, otherwise, least time.Duration) time.Duration {
	d := s.parseDuration(name, otherwise, least)
	s.open(name, d)
	return d
}

func (s *settings) parseDuration(name string, otherwise, least time.Duration) time.Duration {
	value := s.raw(name)
	if value == "" {
		return otherwise
	}
	if _, err := strconv.Atoi(value); err == nil {
		value += "s"
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < least {
		s.wrong(name, fmt.Sprintf("must be a duration such as 90s, 15m or 1h, at least %s", least))
		return otherwise
	}
	return d
}

func (s *settings) oneOf(name, otherwise string, allowed ...string) string {
	value := strings.ToLower(s.raw(name))
	if value != "" && !slices.Contains(allowed, value) {
		s.wrong(name, "must be one of "+strings.Join(allowed, ", "))
		value = ""
	}
	if value == "" {
		value = otherwise
	}
	s.open(name, value)
	return value
}

// list reads a comma list.
func (s *settings) list(name string) []string {
	var items []string
	for item := range strings.SplitSeq(s.raw(name), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	s.open(name, strings.Join(items, ", "))
	return items
}

// address reads an http(s) URL without a trailing slash.
func (s *settings) address(name, otherwise string) string {
	value := s.text(name, otherwise)
	if value == "" {
		return ""
	}
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		s.wrong(name, "must be a URL that starts with http:// or https://, without user or password")
		return otherwise
	}
	return strings.TrimRight(value, "/")
}

// key reads 32 bytes in base64.
func (s *settings) key(name string) []byte {
	value := s.raw(name)
	if value == "" {
		return nil
	}
	key, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(key) != 32 {
		s.wrong(name, "must be 32 random bytes in base64 (openssl rand -base64 32)")
		return nil
	}
	return key
}

// WithDotenv returns a lookup that falls back on the KEY=VALUE lines of a file,
// when there is one. The environment wins.
func WithDotenv(lookup Lookup, file string) (Lookup, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return lookup, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	values, err := parseDotenv(string(data))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return func(name string) (string, bool) {
		if value, ok := lookup(name); ok {
			return value, true
		}
		value, ok := values[name]
		return value, ok
	}, nil
}

// parseDotenv reads KEY=VALUE lines: comments, an "export " before the key,
// single quotes (literal, may span lines) and double quotes (with \n escapes,
// may span lines).
func parseDotenv(text string) (map[string]string, error) {
	values := map[string]string{}
	for number := 1; text != ""; number++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.ContainsAny(name, " \t\"'") || name == "" {
			return nil, fmt.Errorf("line %d is not KEY=VALUE", number)
		}
		value = strings.TrimSpace(value)
		for quoted(value) && !closed(value) {
			if text == "" {
				return nil, fmt.Errorf("line %d: the quote of %s is not closed", number, name)
			}
			var more string
			more, text, _ = strings.Cut(text, "\n")
			value += "\n" + strings.TrimRight(more, "\r")
			number++
		}
		values[name] = unquote(value)
	}
	return values, nil
}

func quoted(value string) bool {
	return strings.HasPrefix(value, `"`) || strings.HasPrefix(value, `'`)
}

func closed(value string) bool { return strings.IndexByte(value[1:], value[0]) >= 0 }

func unquote(value string) string {
	if !quoted(value) {
		value, _, _ = strings.Cut(value, " #")
		return strings.TrimSpace(value)
	}
	body := value[1 : 1+strings.IndexByte(value[1:], value[0])]
	if value[0] == '"' {
		return strings.NewReplacer(`\n`, "\n", `\\`, `\`).Replace(body)
	}
	return body
}

package egress

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// The words that stand where something was taken out.
const (
	hiddenSecret = "[secret]"
	hiddenPhone  = "[phone]"
	hiddenEmail  = "[email]"
)

// minSecret is the length below which a configured secret is not searched for:
// hiding every "ab" would make all text unreadable and tell what the secret is.
const minSecret = 6

// Redactor takes out of any text what must not be read by outsiders: the secrets
// it was told, values of keys that name credentials (Aloware's api_token travels
// in URLs and bodies), Authorization values, JSON Web Tokens, phone numbers and
// e-mail addresses. It errs towards hiding: a bare run of 10 to 15 digits is
// taken for a phone number. A nil Redactor knows no secrets and does the rest.
type Redactor struct {
	fixed []string
	more  func() []string
}

// NewRedactor returns a Redactor for the given secrets and for those that more
// returns at the time of each call (tokens that are refreshed); more may be nil
// and must be safe for concurrent use. Fixed secrets are also found percent-encoded,
// in base64 and quoted for JSON; refreshed ones only as they are. Secrets shorter
// than six bytes are not searched for.
func NewRedactor(secrets []string, more func() []string) *Redactor {
	return &Redactor{fixed: spellings(secrets), more: more}
}

// spellings lists the forms in which secrets can stand in a text, longest first,
// so that a secret that contains another one is hidden whole.
func spellings(secrets []string) []string {
	var forms []string
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		forms = append(forms, secret, url.QueryEscape(secret), url.PathEscape(secret),
			base64.StdEncoding.EncodeToString([]byte(secret)))
		if quoted, err := json.Marshal(secret); err == nil {
			forms = append(forms, string(quoted[1:len(quoted)-1]))
		}
	}
	slices.Sort(forms)
	forms = slices.Compact(forms)
	slices.SortStableFunc(forms, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return forms
}

// Text returns the text without what must not be read. It allocates only when
// there is something to hide, and is idempotent.
func (r *Redactor) Text(text string) string {
	if r != nil {
		text = hide(text, r.fixed)
		if r.more != nil {
			text = hide(text, r.more())
		}
	}
	return scan(text)
}

func hide(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= minSecret && len(secret) <= len(text) && strings.Contains(text, secret) {
			text = strings.ReplaceAll(text, secret, hiddenSecret)
		}
	}
	return text
}

// trigger marks the bytes at which something to hide can be recognised. All
// others are passed over with one table look-up each.
var trigger = func() (table [256]bool) {
	for _, c := range []byte("0123456789@+%(=:bBe") {
		table[c] = true
	}
	return table
}()

// scan hides everything that is recognised by its form, in one pass.
func scan(text string) string {
	var out strings.Builder
	done := 0 // text[:done] is in out already
	for i := 0; i < len(text); {
		if !trigger[text[i]] {
			i++
			continue
		}
		found := recognise(text, i, done)
		if found.word == "" {
			i = max(found.end, i+1)
			continue
		}
		out.WriteString(text[done:found.start])
		out.WriteString(found.word)
		done, i = found.end, found.end
	}
	if done == 0 {
		return text
	}
	out.WriteString(text[done:])
	return out.String()
}

// span is a stretch of text to be replaced by word; without a word, it says
// only up to where nothing more needs to be looked at.
type span struct {
	start, end int
	word       string
}

// recognise looks at the trigger byte at i. Nothing before floor may be touched.
func recognise(text string, i, floor int) span {
	switch c := text[i]; {
	case isDigit(c):
		return digits(text, i)
	case c == '+':
		return plusNumber(text, i, i+1)
	case c == '(':
		return grouped(text, i)
	case c == '@':
		return email(text, i, i+1, floor)
	case c == '=' || c == ':':
		return keyed(text, i, i+1)
	case c == '%':
		return percent(text, i, floor)
	case c == 'e':
		return webToken(text, i)
	default:
		return scheme(text, i)
	}
}

// percent reads the escapes under which the other triggers hide in URLs.
func percent(text string, i, floor int) span {
	if i+3 > len(text) {
		return span{}
	}
	after := i + 3
	switch strings.ToUpper(text[i+1 : after]) {
	case "2B":
		return plusNumber(text, i, after)
	case "40":
		return email(text, i, after, floor)
	case "3D", "3A":
		return keyed(text, i, after)
	case "28", "20":
		return span{end: after}
	default:
		return span{}
	}
}

// digits hides a number without a plus sign: 10 to 15 digits in a row, or the
// North American grouping. Aloware's own ids have nine digits and stay.
func digits(text string, i int) span {
	end := i
	for end < len(text) && isDigit(text[end]) {
		end++
	}
	if i > 0 && isWord(text[i-1]) && !escapedBefore(text, i) {
		return span{end: end}
	}
	if n := end - i; n >= 10 && n <= 15 && !wordAt(text, end) {
		return span{i, end, hiddenPhone}
	}
	if found := grouped(text, i); found.word != "" {
		return found
	}
	return span{end: end}
}

// escapedBefore reports whether what precedes i is a percent escape, whose last
// character is not part of a word that i continues.
func escapedBefore(text string, i int) bool {
	return i >= 3 && text[i-3] == '%' && isHex(text[i-2]) && isHex(text[i-1])
}

// plusNumber hides a number in international notation, spaces, dots, hyphens and
// parentheses included. start is where the plus sign is, at where it ended.
func plusNumber(text string, start, at int) span {
	count, end := 0, at
	for i, gap := at, 0; i < len(text) && gap <= 2; i++ {
		switch {
		case isDigit(text[i]):
			count, end, gap = count+1, i+1, 0
		case isSeparator(text[i]):
			gap++
		default:
			gap = 3
		}
	}
	if count < 7 {
		return span{end: at}
	}
	return span{start, end, hiddenPhone}
}

// grouped hides (202) 555-0123, 202-555-0123, 1.202.555.0123 and the like.
func grouped(text string, start int) span {
	i := start
	if i+1 < len(text) && text[i] == '1' && isSeparator(text[i+1]) {
		i++
	}
	for _, group := range [...]int{3, 3, 4} {
		for gap := 0; gap < 2 && i < len(text) && isSeparator(text[i]); gap++ {
			i++
		}
		for n := 0; n < group; n, i = n+1, i+1 {
			if i >= len(text) || !isDigit(text[i]) {
				return span{}
			}
		}
	}
	if wordAt(text, i) {
		return span{}
	}
	return span{start, i, hiddenPhone}
}

// The longest local part and domain that are looked for, twice and once what
// RFC 5321 allows, so that no text takes time out of proportion to its length.
const (
	maxLocal  = 128
	maxDomain = 255
)

// email hides the address around an at sign that stands at i and ends at after.
func email(text string, i, after, floor int) span {
	start := i
	for start > floor && i-start < maxLocal && isLocal(text[start-1]) {
		start--
	}
	end, dotted := after, false
	for end < len(text) && end-after < maxDomain && (isWord(text[end]) || text[end] == '-' || text[end] == '.') {
		dotted = dotted || text[end] == '.' && end > after && end+1 < len(text) && isWord(text[end+1])
		end++
	}
	if start == i || !dotted {
		return span{end: after}
	}
	return span{start, end, hiddenEmail}
}

// webToken hides a JSON Web Token, which starts with the letters that encode {".
func webToken(text string, i int) span {
	if !strings.HasPrefix(text[i:], "eyJ") || i > 0 && isWord(text[i-1]) {
		return span{}
	}
	end := i
	for end < len(text) && isToken(text[end]) {
		end++
	}
	if end-i < 20 {
		return span{end: end}
	}
	return span{i, end, hiddenSecret}
}

// scheme hides the credentials after the words Bearer and Basic. Credentials
// are told from prose by a digit, a capital or an equals sign in them.
func scheme(text string, i int) span {
	if i > 0 && isWord(text[i-1]) {
		return span{}
	}
	at := i
	for _, word := range [...]string{"bearer", "basic"} {
		if len(text)-i > len(word) && strings.EqualFold(text[i:i+len(word)], word) {
			at = i + len(word)
		}
	}
	start := at
	for start < len(text) && text[start] == ' ' {
		start++
	}
	if start == at {
		return span{}
	}
	end, telling := start, false
	for end < len(text) && isToken(text[end]) {
		telling = telling || isDigit(text[end]) || text[end] == '=' || text[end] >= 'A' && text[end] <= 'Z'
		end++
	}
	if end-start < 6 || !telling {
		return span{end: start}
	}
	return span{start, end, hiddenSecret}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// isWord holds for letters, digits and all bytes outside ASCII.
func isWord(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80 }

func wordAt(text string, i int) bool { return i < len(text) && isWord(text[i]) }

func isSeparator(c byte) bool { return c == ' ' || c == '-' || c == '.' || c == '(' || c == ')' }

func isLocal(c byte) bool { return isWord(c) || strings.IndexByte("._%+-'#&*/?^`{|}~!$", c) >= 0 }

func isToken(c byte) bool { return isWord(c) || strings.IndexByte("-._~+/=", c) >= 0 }

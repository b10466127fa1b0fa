package egress

import "strings"

// keyed hides the value after a separator (= or :, perhaps percent-encoded) when
// the word before it names a credential: query strings, form bodies, JSON, header
// dumps and printed Go structs all have that form.
func keyed(text string, separator, after int) span {
	word, quoted := keyBefore(text, separator)
	certainty := sensitive(word)
	if certainty == harmless {
		return span{end: after}
	}
	// "Invalid token: not known here" is prose, "token":"…" and token=… are not.
	if certainty == maybe && !quoted && text[separator] == ':' {
		return span{end: after}
	}
	start := after
	for start < len(text) && strings.IndexByte(" \"'\\[", text[start]) >= 0 && !isHidden(text[start:]) {
		start++
	}
	if isHidden(text[start:]) {
		return span{end: start + len(hiddenSecret)}
	}
	stops := "&,;)}]<>\"'\\ \t\r\n"
	if endsWith(word, "authorization") || endsWith(word, "cookie") {
		stops = "]\"\\\r\n" // a scheme, a space, the credentials
	}
	length := strings.IndexAny(text[start:], stops)
	if length < 0 {
		length = len(text) - start
	}
	if length == 0 {
		return span{end: start}
	}
	return span{start, start + length, hiddenSecret}
}

func isHidden(text string) bool { return strings.HasPrefix(text, hiddenSecret) }

// keyBefore returns the key that ends before i, and whether it was quoted.
func keyBefore(text string, i int) (word string, quoted bool) {
	for i > 0 && strings.IndexByte(" \"'\\", text[i-1]) >= 0 {
		i--
		quoted = quoted || text[i] != ' '
	}
	start := i
	for start > 0 && i-start < 48 && (isWord(text[start-1]) || text[start-1] == '_' || text[start-1] == '-') {
		start--
	}
	return text[start:i], quoted
}

// certainty is how sure a key's name makes us that its value is a credential.
type certainty int

const (
	harmless certainty = iota
	maybe              // also an ordinary English word
	certain
)

// sensitive judges a key in any naming style: api_token, apiToken, X-Api-Token.
func sensitive(key string) certainty {
	if len(key) < 5 || strings.IndexByte("nteydNTEYD", key[len(key)-1]) < 0 {
		return harmless
	}
	if strings.EqualFold(key, "token") || strings.EqualFold(key, "secret") {
		return maybe
	}
	for _, ending := range [...]string{"token", "secret", "apikey", "password", "passwd", "authorization",
		"privatekey", "secretkey", "signingkey", "encryptionkey", "cookie"} {
		if endsWith(key, ending) {
			return certain
		}
	}
	return harmless
}

// endsWith compares the end of a key with a word of lower-case letters, without
// regard to case, underscores and hyphens, and without allocating.
func endsWith(key, word string) bool {
	i := len(key) - 1
	for w := len(word) - 1; w >= 0; w-- {
		for i >= 0 && (key[i] == '_' || key[i] == '-') {
			i--
		}
		if i < 0 || key[i]|0x20 != word[w] {
			return false
		}
		i--
	}
	return true
}

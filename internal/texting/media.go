package texting

import (
	"net/url"
	"strings"

	"github.com/df-middleware/dfm/internal/payload"
)

// mostMedia is more than any carrier lets through with one text (ten).
const mostMedia = 32

// mediaOf reads the pictures of a message, in whichever of the usual forms: one
// URL, a list of URLs, a list of objects. The original lost all of them.
func mediaOf(l layers) []Media {
	for _, r := range l {
		for _, key := range [...]string{"media", "mediaurls", "mediaurl", "attachments"} {
			if media := readMedia(r[key]); len(media) > 0 {
				return media
			}
		}
	}
	return nil
}

func readMedia(value any) []Media {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var media []Media
	for _, item := range list {
		one := Media{URL: payload.Word(item)}
		if object, ok := item.(map[string]any); ok {
			r := newRecord(object)
			one = Media{URL: r.text("url", "mediaurl", "href"), ContentType: contentType(r.text("contenttype", "mimetype", "type"))}
		}
		if fetchable(one.URL) && len(media) < mostMedia {
			media = append(media, one)
		}
	}
	return media
}

// fetchable reports whether text is an absolute URL of the web.
func fetchable(text string) bool {
	if len(text) > 2048 {
		return false
	}
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != ""
}

// contentType keeps a media type in the form type/subtype and nothing else.
func contentType(text string) string {
	text, _, _ = strings.Cut(text, ";")
	text = strings.ToLower(strings.TrimSpace(text))
	kind, sub, found := strings.Cut(text, "/")
	if !found || kind == "" || sub == "" || len(text) > longestName || payload.ID(text) == "" {
		return ""
	}
	return text
}

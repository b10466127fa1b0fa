package toolset

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/df-middleware/dfm/internal/verity"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// bodyForm is how a model writes a body.
type bodyForm int

const (
	bodyJSON bodyForm = iota
	bodyMultipart
	bodyURLEncoded
	bodyText
	bodyBytes
)

func formOf(mediaType string) bodyForm {
	mediaType, _, _ = strings.Cut(strings.ToLower(mediaType), ";")
	mediaType = strings.TrimSpace(mediaType)
	switch {
	case mediaType == "application/json", strings.HasSuffix(mediaType, "+json"), mediaType == "*/*", mediaType == "application/*":
		return bodyJSON
	case strings.HasPrefix(mediaType, "multipart/"):
		return bodyMultipart
	case mediaType == "application/x-www-form-urlencoded":
		return bodyURLEncoded
	case strings.HasPrefix(mediaType, "text/"), mediaType == "application/xml", strings.HasSuffix(mediaType, "+xml"):
		return bodyText
	}
	return bodyBytes
}

// chosenContent returns the media type that is sent where an operation takes
// several: JSON when it may be, else the one that loses least.
func chosenContent(op *catalogue.Operation) catalogue.Content {
	if content := op.Body.JSON(); content != nil {
		return *content
	}
	best := op.Body.Contents[0]
	for _, content := range op.Body.Contents[1:] {
		if formOf(content.Type) < formOf(best.Type) {
			best = content
		}
	}
	return best
}

// setBody encodes the body as the operation's media type.
func (t *Tool) setBody(r *verity.Request, value []byte) error {
	content := chosenContent(t.Operation)
	mediaType := content.Type
	var err error
	switch formOf(content.Type) {
	case bodyJSON:
		r.Body = value
		if mediaType == "" || strings.Contains(mediaType, "*") {
			return nil
		}
	case bodyMultipart:
		r.Body, mediaType, err = multipartBody(value)
	case bodyURLEncoded:
		r.Body, err = urlencodedBody(value)
	case bodyText:
		text, _ := strictjson.String(value)
		r.Body = json.RawMessage(text)
	case bodyBytes:
		text, _ := strictjson.String(value)
		if r.Body, err = base64.StdEncoding.DecodeString(text); err != nil {
			err = badArgument("body must be base64")
		}
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Content-Type", mediaType)
	return err
}

// multipartBody writes each member as a part. One that is an object with
// "base64" becomes a file: {"base64":"…","filename":"…","contentType":"…"}. The
// boundary comes from the content, so that the same arguments are the same bytes.
func multipartBody(value []byte) (body json.RawMessage, mediaType string, err error) {
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	sum := sha256.Sum256(value)
	if err := w.SetBoundary("dfm" + hex.EncodeToString(sum[:16])); err != nil {
		return nil, "", err
	}
	err = strictjson.Members(value, func(name string, item []byte) error {
		if strictjson.KindOf(item) != strictjson.Array {
			return writePart(w, name, item)
		}
		return strictjson.Elements(item, func(_ int, element []byte) error { return writePart(w, name, element) })
	})
	if err == nil {
		err = w.Close()
	}
	return out.Bytes(), w.FormDataContentType(), err
}

func writePart(w *multipart.Writer, name string, item []byte) error {
	if text, ok := scalar(item); ok {
		return w.WriteField(name, text)
	}
	var file struct {
		Base64      *string `json:"base64"`
		Filename    string  `json:"filename"`
		ContentType string  `json:"contentType"`
	}
	if json.Unmarshal(item, &file) != nil || file.Base64 == nil {
		header := textproto.MIMEHeader{}
		header.Set("Content-Disposition", multipart.FileContentDisposition(name, ""))
		return writeBytes(w, header, "application/json", item, name)
	}
	data, err := base64.StdEncoding.DecodeString(*file.Base64)
	if err != nil {
		return badArgument("body.%s.base64 must be base64", name)
	}
	header := textproto.MIMEHeader{}
	header.Set("Content-Disposition", multipart.FileContentDisposition(name, file.Filename))
	if file.ContentType == "" {
		file.ContentType = "application/octet-stream"
	}
	return writeBytes(w, header, file.ContentType, data, name)
}

func writeBytes(w *multipart.Writer, header textproto.MIMEHeader, contentType string, data []byte, name string) error {
	if strings.ContainsAny(contentType, "\r\n") {
		return badArgument("body.%s.contentType must be a media type", name)
	}
	header.Set("Content-Type", contentType)
	part, err := w.CreatePart(header)
	if err == nil {
		_, err = part.Write(data)
	}
	return err
}

func urlencodedBody(value []byte) (json.RawMessage, error) {
	form := url.Values{}
	err := strictjson.Members(value, func(name string, item []byte) error {
		return addQuery(form, catalogue.Parameter{Name: name, In: groupBody, Style: "form", Explode: true}, item)
	})
	return json.RawMessage(form.Encode()), err
}

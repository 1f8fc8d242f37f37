package issuer

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/coatcheck/coatcheck/issuer/keyring"
)

// document is a public JSON document that is the same for everybody; immutable.
type document struct {
	kind, age, tag string
	body           []byte
}

func newDocument(kind string, age time.Duration, v any) *document {
	body, err := json.Marshal(v)
	if err != nil {
		panic("issuer: document cannot be marshalled: " + err.Error())
	}
	return documentOf(kind, age, body)
}

func documentOf(kind string, age time.Duration, body []byte) *document {
	sum := sha256.Sum256(body)
	return &document{kind, fmt.Sprintf("public, max-age=%d", age/time.Second), `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`, body}
}

// keySet is the published JWKS; nil while there is none.
func (i *Issuer) keySet() *document {
	body := i.keeper.KeySet()
	if body == nil {
		return nil
	}
	return documentOf("application/jwk-set+json", keyring.SetAge, body)
}

// ServeHTTP answers GET and HEAD; If-None-Match by http.ServeContent.
func (d *document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", d.kind)
	h.Set("Cache-Control", d.age)
	h.Set("ETag", d.tag)
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.body))
}

package interop

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// kid is the key id in a token's header.
func kid(t *testing.T, token string) string {
	t.Helper()
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	var header struct{ Kid string }
	if err == nil {
		err = json.Unmarshal(raw, &header)
	}
	if err != nil || header.Kid == "" {
		t.Fatalf("header of a token: %v", err)
	}
	return header.Kid
}

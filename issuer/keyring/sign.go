package keyring

import (
	"encoding/base64"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

const algorithm = "ES256"

// Sign makes a JWS of one class; typ keeps the classes apart (RFC 8725 §3.11). The header is the same for all of a
// class. Neither typ nor a key id may have a character that JSON would escape.
func (k *Key) Sign(typ string, payload []byte) (string, error) {
	encode := base64.RawURLEncoding
	header := `{"alg":"` + algorithm + `","kid":"` + k.id + `","typ":"` + typ + `"}`
	text := encode.EncodeToString([]byte(header)) + "." + encode.EncodeToString(payload)
	signature, err := jwt.SigningMethodES256.Sign(text, k.private())
	if err != nil {
		return "", fmt.Errorf("keyring: sign %s: %w", typ, err)
	}
	return text + "." + encode.EncodeToString(signature), nil
}

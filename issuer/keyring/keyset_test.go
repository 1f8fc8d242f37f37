package keyring

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"slices"
	"testing"
)

// A P-256 key and its thumbprint worked out apart from this code:
// printf '{"crv":"P-256",…}' | openssl dgst -sha256 -binary | basenc --base64url.
func TestKeyIDIsTheThumbprint(t *testing.T) {
	t.Parallel()
	key := publicKey{X: "WKn-ZIGevcwGIyyrzFoZNBdaq9_TsqzGl96oc0CWuis", Y: "y77t-RvAHRKTsSGdIYUfweuOvwrvDD-Q3Hv5J0fSKbE"}
	x, err1 := base64.RawURLEncoding.DecodeString(key.X)
	y, err2 := base64.RawURLEncoding.DecodeString(key.Y)
	public, err3 := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if got, want := thumbprint(public), "qT5yKRo0isoECLGe0-hJJux4iMROawVfs8LFcQ2Aveo"; got != want {
		t.Errorf("thumbprint %s, want %s", got, want)
	}
}

func decode(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

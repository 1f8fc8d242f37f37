package issuer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/sealing"
)

// Nothing that holds a secret shows it, by whatever verb or encoder it is printed, from however deep inside.
func TestSecretsCannotBePrinted(t *testing.T) {
	t.Parallel()
	hash := hashed(t, shopSecret)
	keys := sealingKeys(t, 0x41)
	sum := sha256.Sum256([]byte(shopSecret))
	secrets := []string{
		shopSecret, hex.EncodeToString([]byte(shopSecret)), hex.EncodeToString(sum[:]), decimals(sum[:6]),
		"AAAAAAAA", "65 65 65 65", "41414141", "0x41, 0x41",
	}
	config := Config{Sealing: keys, Clients: map[string]clients.Client{"c": {Secret: hash}}}
	inside := struct {
		a clients.SecretHash
		b *sealing.Keys
		c hidden[string]
	}{hash, keys, hide(shopSecret)}
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for _, v := range []any{hash, &hash, keys, *keys, hide(shopSecret), config, inside, &inside} {
		shown := fmt.Sprintf("%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v)
		if text, err := json.Marshal(v); err == nil {
			shown += string(text)
		}
		logger.LogAttrs(t.Context(), slog.LevelInfo, "x", slog.Any("v", v))
		for _, s := range secrets {
			if strings.Contains(shown+log.String(), s) {
				t.Errorf("%T shows %q", v, s)
			}
		}
	}
	for _, v := range []any{hash, keys} {
		if text, err := json.Marshal(v); err == nil {
			t.Errorf("%T was marshalled to %s", v, text)
		}
	}
}

// decimals is how fmt shows bytes within a longer list.
func decimals(b []byte) string { return strings.Trim(fmt.Sprint(b), "[]") }

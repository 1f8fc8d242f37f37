package issuer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/issuer/clients"
)

// Nothing that holds a secret shows it, by whatever verb or encoder it is printed, from however deep inside.
func TestSecretsCannotBePrinted(t *testing.T) {
	t.Parallel()
	hash := hashed(t, shopSecret)
	keys := sealingKeys(t, 0x41)
	ring := newRing(testNow, 0)
	sum, index := sha256.Sum256([]byte(shopSecret)), ring.beginning()
	raw, err := ring.in(active).private().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	private := new(big.Int).SetBytes(raw)
	secrets := []string{
		shopSecret, hex.EncodeToString([]byte(shopSecret)), hex.EncodeToString(sum[:]), decimals(sum[:6]),
		"AAAAAAAA", "65 65 65 65", "41414141", "0x41, 0x41", decimals(index[:6]), hex.EncodeToString(index[:6]),
		private.String(), private.Text(16), decimals(raw[:6]), fmt.Sprint(uint64(private.Bits()[1])),
	}
	config := Config{Sealing: keys, Clients: map[string]clients.Client{"c": {Secret: hash}}}
	inside := struct {
		a clients.SecretHash
		b *SealingKeys
		c hidden[string]
		d any
	}{hash, keys, hide(shopSecret), ring}
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for _, v := range []any{hash, &hash, keys, *keys, hide(shopSecret), *ring, ring.keys, ring.in(active), config, inside, &inside} {
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

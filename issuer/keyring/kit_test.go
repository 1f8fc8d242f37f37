package keyring

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
)

var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const testIssuer = "https://auth.example.com"

// kit is a keeper with its log. Its tokens live for ten minutes.
type kit struct {
	*Keeper
	log *syncBuffer
}

// syncBuffer is a log that a test may read while somebody writes it.
type syncBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newKit has its ring.
func newKit(t testing.TB, changes ...func(*Config)) *kit {
	t.Helper()
	k := buildKit(t, store.NewMemory(), changes...)
	k.look(t)
	return k
}

// buildKit leaves the ring to Run.
func buildKit(t testing.TB, s StateStore, changes ...func(*Config)) *kit {
	t.Helper()
	log := &syncBuffer{}
	c := Config{State: s, Sealing: sealingKeys(t, 1), Life: 10 * time.Minute, Logger: slog.New(slog.NewJSONHandler(log, nil))}
	for _, change := range changes {
		change(&c)
	}
	return &kit{New(c), log}
}

func hourly(c *Config) { c.RotateEvery = time.Hour }

func sealingKeys(t testing.TB, firsts ...byte) *sealing.Keys {
	t.Helper()
	var raw [][]byte
	for _, b := range firsts {
		raw = append(raw, bytes.Repeat([]byte{b}, 32))
	}
	k, err := sealing.New(raw...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// start runs a keeper until the test ends.
func (k *kit) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v, want nil when its context ends", err)
		}
	})
}

func (k *kit) look(t testing.TB) {
	t.Helper()
	if err := k.Look(t.Context()); err != nil {
		t.Fatalf("look: %v", err)
	}
}

func (k *kit) activeKey(t testing.TB) string {
	t.Helper()
	r, err := k.Current()
	if err != nil {
		t.Fatalf("no ring to sign with: %v", err)
	}
	return r.Active().ID()
}

// token is a JWT by the active key.
func (k *kit) token(t testing.TB) string {
	t.Helper()
	r, err := k.Current()
	if err != nil {
		t.Fatalf("no ring to sign with: %v", err)
	}
	return sign(t, r.Active())
}

// sign makes an access token with nothing in it but what package verifier asks for.
func sign(t testing.TB, key *Key) string {
	t.Helper()
	now := time.Now().Unix()
	raw, err := key.Sign("at+jwt", fmt.Appendf(nil, `{"iss":%q,"aud":"orders-api","sub":"client:shop","client_id":"shop","jti":"j","iat":%d,"exp":%d}`,
		testIssuer, now, now+600))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func verifyWith(t testing.TB, set []byte, raw string) error {
	t.Helper()
	keys, err := verifier.ParseJWKS(set)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verifier.New(testIssuer, "orders-api", verifier.Config{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(t.Context(), raw)
	return err
}

// header reads a JOSE header.
func header(t testing.TB, raw string) (h map[string]string) {
	t.Helper()
	text, _, _ := strings.Cut(raw, ".")
	if err := json.Unmarshal(decode(t, text), &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// es256 is the plan of an issuer whose keys live in the ring.
func es256(life, every time.Duration) plan {
	return plan{life: life, rotateEvery: every, algorithm: ES256}
}

func firstRing(t testing.TB, now time.Time, p plan) *Ring {
	t.Helper()
	r, err := newRing(now, p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

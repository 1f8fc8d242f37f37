package verifier_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/verifier"
)

// brokenKeys answers every look-up with one error.
type brokenKeys struct{ err error }

func (b brokenKeys) Key(context.Context, string) (verifier.Key, error) { return verifier.Key{}, b.err }

// "I cannot tell" is not "no": only a source that is sure makes a token invalid.
func TestVerifyTellsUnavailableFromInvalid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		source      error
		invalid     bool
		unavailable bool
	}{
		{"unknown key", verifier.ErrUnknownKey, true, false},
		{"keys unavailable", verifier.ErrKeysUnavailable, false, true},
		{"an error of somebody else's", errors.New("disk on fire"), false, true},
		{"the caller has gone", context.Canceled, false, true},
	} {
		_, err := newVerifier(t, brokenKeys{c.source}).Verify(t.Context(), testKeys().es.access())
		if errors.Is(err, verifier.ErrInvalid) != c.invalid || errors.Is(err, verifier.ErrKeysUnavailable) != c.unavailable || !errors.Is(err, c.source) {
			t.Errorf("%s: Verify = %v; want invalid %t, unavailable %t", c.name, err, c.invalid, c.unavailable)
		}
	}
}

// Never panics, and accepts nothing but what the test keys have signed. Only the signing input is compared: of an
// ECDSA signature (r, s) everybody can make (r, -s), and both are good.
func FuzzVerify(f *testing.F) {
	signed := make(map[string]bool)
	input := func(token string) string { return token[:max(0, strings.LastIndex(token, "."))] }
	for _, file := range allVectors() {
		for _, c := range file.Cases {
			f.Add(c.Token)
			if c.Want == wantOK {
				signed[input(c.Token)] = true
			}
		}
	}
	v := newVerifier(f, staticKeys())
	f.Fuzz(func(t *testing.T, token string) {
		c, err := v.Verify(t.Context(), token)
		if err == nil && (c == nil || !signed[input(token)]) {
			t.Fatalf("accepted %q, which nobody signed", token)
		}
		if err != nil && (c != nil || !errors.Is(err, verifier.ErrInvalid)) {
			t.Fatalf("Verify(%q) = %v, %v", token, c, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k := testKeys()
	for _, key := range []testKey{k.es, k.ed, k.rs, k.ps} {
		b.Run(key.alg, func(b *testing.B) {
			v, token := newVerifier(b, staticKeys()), key.access()
			b.ReportAllocs()
			b.ReportMetric(float64(len(token)), "bytes/token")
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The signature is most of the cost of a good token; of a bad one there is only this.
func BenchmarkRefuse(b *testing.B) {
	k := testKeys().es
	for name, token := range map[string]string{
		"typ":         k.token(k.headerOf("JWT"), claims()),
		"unknown_kid": testKeys().es2.access(),
		"dots_16KiB":  strings.Repeat(".", 16<<10),
	} {
		b.Run(name, func(b *testing.B) {
			v := newVerifier(b, staticKeys())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
)

// bubble runs a test with a clock of its own.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

func TestJWKSFloodOfUnknownKidsFetchesOncePerCooldown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := testKeys()
		issuer := newIssuer(k.es)
		v := newVerifier(t, issuer.jwks(t, verifier.JWKSConfig{Refresh: time.Hour}))
		const tokens, rounds = 2_500, 4 // 10,000 in all
		good := k.es.access()
		for round := range rounds {
			var all sync.WaitGroup
			for i := range tokens {
				header := fmt.Sprintf(`{"typ":"at+jwt","alg":"ES256","kid":"junk-%d-%d"}`, round, i)
				token := b64([]byte(header)) + ".e30." + b64(make([]byte, 64))
				all.Go(func() {
					if _, err := v.Verify(t.Context(), token); !errors.Is(err, verifier.ErrUnknownKey) {
						t.Errorf("junk token: Verify = %v, want ErrUnknownKey", err)
					}
				})
			}
			all.Wait()
			if got, most := issuer.fetched(keysPath), round+1; got > most {
				t.Errorf("%d junk tokens within %d cool-downs: %d fetches, want at most %d", tokens*most, most, got, most)
			}
			if _, err := v.Verify(t.Context(), good); err != nil {
				t.Errorf("a good token in the flood: Verify = %v, want nil", err)
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// The flood against an issuer that is down: the cool-down counts whatever the result, and nobody hears 401.
func TestJWKSFloodWhileTheIssuerIsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		issuer := newIssuer()
		issuer.set(keysPath, refuse)
		j := issuer.jwks(t, verifier.JWKSConfig{})
		for i := range 1000 {
			wantKey(t, j, fmt.Sprintf("junk-%d", i), verifier.ErrKeysUnavailable)
		}
		if got := issuer.fetched(keysPath); got != 1 {
			t.Errorf("%d fetches, want 1", got)
		}
		issuer.publish(testKeys().es)
		wantKey(t, j, "es256-a", verifier.ErrKeysUnavailable) // still cooling down
		time.Sleep(10 * time.Second)
		wantKey(t, j, "es256-a", nil)
	})
}

func TestJWKSGoodKeysSurviveEveryFailure(t *testing.T) {
	t.Parallel()
	k := testKeys()
	for name, failure := range map[string]stubAnswer{
		"connection refused":    refuse,
		"no answer":             hang,
		"500":                   respond(500, keySet(k.es2)),
		"404":                   respond(404, ""),
		"204":                   respond(204, ""),
		"304 that nobody asked": respond(304, ""),
		"a redirect":            respond(302, "", "Location", testIssuer+"/elsewhere"),
		"garbage":               respond(200, "<html>"),
		"nothing":               respond(200, ""),
		"an empty set":          respond(200, `{"keys":[]}`),
		"only foreign keys":     respond(200, keySet(`{"kty":"AKP","kid":"a"}`)),
		"a private key":         respond(200, keySet(k.es2, `{"kty":"oct","kid":"h","k":"AA"}`)),
		"one kid twice":         respond(200, keySet(k.es2, k.es2)),
		"an endless body":       endless(false),
		"a slow body":           endless(true),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				issuer := newIssuer(k.es)
				issuer.set("/elsewhere", respond(200, keySet(k.es2)))
				j := issuer.jwks(t, verifier.JWKSConfig{})
				wantKey(t, j, "es256-a", nil)

				issuer.set(keysPath, failure)
				if err := j.Refresh(t.Context()); !errors.Is(err, verifier.ErrKeysUnavailable) {
					t.Errorf("Refresh = %v, want ErrKeysUnavailable", err)
				}
				wantKey(t, j, "es256-a", nil)
				wantKey(t, j, "es256-b", verifier.ErrKeysUnavailable) // it may well exist: 503, not 401
				time.Sleep(time.Hour)
				wantKey(t, j, "es256-a", nil)
				if !j.Ready() {
					t.Error("Ready = false, want true: a set was loaded")
				}

				issuer.publish(k.es2) // and back again
				time.Sleep(time.Minute)
				wantKey(t, j, "es256-b", nil)
				wantKey(t, j, "es256-a", verifier.ErrUnknownKey)
			})
		})
	}
}

func TestJWKSNewKeyIsFoundAtOnceAndOldOneDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := testKeys()
		issuer := newIssuer(k.es)
		j := issuer.jwks(t, verifier.JWKSConfig{})
		wantKey(t, j, "es256-a", nil)
		time.Sleep(11 * time.Second) // the first use was a fetch for an unknown kid
		issuer.publish(k.es2)
		wantKey(t, j, "es256-b", nil)
		wantKey(t, j, "es256-a", verifier.ErrUnknownKey)
	})
}

// A withdrawn key is refused within two intervals and a cool-down: by the background refresh of a busy service,
// and by waiting for the issuer in one that was idle.
func TestJWKSWithdrawnKeyDies(t *testing.T) {
	t.Parallel()
	k := testKeys()
	t.Run("busy", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			issuer := newIssuer(k.es, k.es2)
			j := issuer.jwks(t, verifier.JWKSConfig{})
			wantKey(t, j, "es256-a", nil)
			issuer.publish(k.es2)
			time.Sleep(time.Minute)
			wantKey(t, j, "es256-a", nil) // stale: this use starts the refresh
			synctest.Wait()
			wantKey(t, j, "es256-a", verifier.ErrUnknownKey)
			wantKey(t, j, "es256-b", nil)
		})
	})
	t.Run("idle", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			issuer := newIssuer(k.es, k.es2)
			j := issuer.jwks(t, verifier.JWKSConfig{})
			wantKey(t, j, "es256-a", nil)
			issuer.publish(k.es2)
			time.Sleep(2*time.Minute + 10*time.Second)
			wantKey(t, j, "es256-a", verifier.ErrUnknownKey)
		})
	})
}

// While the issuer hangs, a busy service never waits for it: only the first use after an idle time does, once.
func TestJWKSStaleKeysDoNotBlock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		issuer := newIssuer(testKeys().es)
		j := issuer.jwks(t, verifier.JWKSConfig{})
		wantKey(t, j, "es256-a", nil)
		issuer.set(keysPath, hang)
		fetches := issuer.fetched(keysPath)
		for range 600 { // ten minutes
			time.Sleep(time.Second)
			asked := time.Now()
			wantKey(t, j, "es256-a", nil)
			if waited := time.Since(asked); waited != 0 {
				t.Fatalf("Key waited %v for an issuer that hangs", waited)
			}
		}
		// 9 minutes of attempts, each 5 s long and 10 s after the last.
		if got := issuer.fetched(keysPath) - fetches; got < 30 || got > 37 {
			t.Errorf("%d attempts in ten minutes, want one each 15 s", got)
		}
		time.Sleep(time.Hour)
		asked := time.Now()
		wantKey(t, j, "es256-a", nil)
		if waited := time.Since(asked); waited != 5*time.Second {
			t.Errorf("after an idle hour Key waited %v, want the 5 s of one fetch", waited)
		}
	})
}

// Who cannot wait for the issuer after an idle time gets no key, rather than one that may be withdrawn.
func TestJWKSOverdueKeyIsNotHandedToTheImpatient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		issuer := newIssuer(testKeys().es)
		j := issuer.jwks(t, verifier.JWKSConfig{})
		wantKey(t, j, "es256-a", nil)
		issuer.set(keysPath, hang)
		time.Sleep(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if k, err := j.Key(ctx, "es256-a"); !errors.Is(err, verifier.ErrKeysUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Key with a second to wait = %v, %v; want ErrKeysUnavailable", k, err)
		}
		time.Sleep(5 * time.Second) // the fetch outlives him
	})
}

func TestJWKSWaitersHonourTheirOwnContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		issuer := newIssuer()
		issuer.set(keysPath, after(gate, respond(200, keySet(testKeys().es))))
		j := issuer.jwks(t, verifier.JWKSConfig{})

		impatient, cancel := context.WithCancel(t.Context())
		results := make(chan error, 2)
		go func() { // begins the flight, and goes
			_, err := j.Key(impatient, "es256-a")
			results <- err
		}()
		synctest.Wait()
		go func() { // joins it, and stays
			_, err := j.Key(t.Context(), "es256-a")
			results <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) || !errors.Is(err, verifier.ErrKeysUnavailable) {
			t.Errorf("the cancelled waiter got %v, want context.Canceled and ErrKeysUnavailable", err)
		}
		close(gate)
		if err := <-results; err != nil {
			t.Errorf("the patient waiter got %v, want the key", err)
		}
		if got := issuer.fetched(keysPath); got != 1 {
			t.Errorf("%d fetches, want 1 for both", got)
		}
	})
}

// A key that is published while somebody's refresh is on its way: that flight's "no" is not an answer.
func TestJWKSJoinedFlightMayHaveAskedTooEarly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := testKeys()
		gate := make(chan struct{})
		issuer := newIssuer()
		issuer.set(keysPath, after(gate, respond(200, keySet(k.es))))
		j := issuer.jwks(t, verifier.JWKSConfig{})
		go func() { _ = j.Refresh(t.Context()) }()
		synctest.Wait() // 1. the refresh has asked and will hear of the old set
		issuer.publish(k.es, k.es2)
		found := make(chan error)
		go func() { // 2. a token under the new key joins it
			_, err := j.Key(t.Context(), "es256-b")
			found <- err
		}()
		synctest.Wait()
		close(gate) // 3. the old set lands
		if err := <-found; err != nil {
			t.Errorf("Key(es256-b) = %v, want it found by a fetch of its own", err)
		}
		if got := issuer.fetched(keysPath); got != 2 {
			t.Errorf("%d fetches, want 2", got)
		}
	})
}

// One stuck client must not cause a fetch per cool-down, nor keep a new key away for longer than one.
func TestJWKSRemembersMissingKids(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := testKeys()
		issuer := newIssuer(k.es)
		j := issuer.jwks(t, verifier.JWKSConfig{Refresh: time.Hour})
		wantKey(t, j, "stuck", verifier.ErrUnknownKey)
		for range 100 {
			time.Sleep(11 * time.Second)
			wantKey(t, j, "stuck", verifier.ErrUnknownKey)
		}
		if got := issuer.fetched(keysPath); got > 1+1100/20 {
			t.Errorf("one junk kid for 1100 s: %d fetches, want one each 20 s", got)
		}
		issuer.publish(k.es, k.es2)
		time.Sleep(10 * time.Second)
		wantKey(t, j, "es256-b", nil)

		for i := range verifier.MaxMissing + 10 {
			time.Sleep(10 * time.Second)
			wantKey(t, j, fmt.Sprintf("junk-%d", i), verifier.ErrUnknownKey)
		}
		if got := j.Missing(); got > verifier.MaxMissing {
			t.Errorf("%d missing kids are remembered, want at most %d", got, verifier.MaxMissing)
		}
	})
}

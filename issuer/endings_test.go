package issuer

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/google/go-cmp/cmp"
)

// TestADeadTokenIsRevokedOnce: who repeats it writes nothing more into the journal, and gets the same answer.
func TestADeadTokenIsRevokedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		never := k.stamper.New().Reveal()
		jwt := k.signed(t, tokenType, claimsOf("shop", "jti", "00000000000000000000000000000abc"))
		for name, row := range map[string]struct{ token, jti string }{
			"a reference that the store has lost": {never, k.jti(t, never)},
			"a JWT":                               {jwt, "00000000000000000000000000000abc"},
		} {
			for n := range 20 {
				wantRevoked(t, name, k.postRevoke(t, revocationOf(row.token), nil))
				want := []string{"pretend"}
				if n == 0 {
					want = []string{"revoke token " + row.jti}
				}
				if got := k.ended.said(); !cmp.Equal(got, want) {
					t.Errorf("%s, time %d: %v, want %v", name, n+1, got, want)
				}
				time.Sleep(time.Second)
			}
		}
	})
}

// TestWhatIsNotSurelyEndedIsRevokedAgain: the memory is believed only about a success, and only for as long as that is kept.
func TestWhatIsNotSurelyEndedIsRevokedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		dead, alive := k.stamper.New().Reveal(), k.token(t, shop()).AccessToken
		pass, _, err := k.edge.Swap(t.Context(), alive, exchange.Strict)
		if err != nil {
			t.Fatal(err)
		}
		again := func(what, token string) {
			t.Helper()
			k.ended.said()
			wantRevoked(t, what, k.postRevoke(t, revocationOf(token), nil))
			if got, want := k.ended.said(), []string{"revoke token " + k.jti(t, token)}; !cmp.Equal(got, want) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		k.ended.fail(fmt.Errorf("revoke: %w", revocation.ErrNotDurable))
		wantRefusal(t, "not in force", k.postRevoke(t, revocationOf(dead), nil), 503, "temporarily_unavailable")
		k.ended.fail(nil)
		again("after a failure", dead)

		time.Sleep(k.Issuer.longest())
		again("later, as it must be kept for longer", dead)

		again("a live token", alive)
		k.grants = finds{pass}
		again("a token that the store has for alive after all", alive)

		k.grants = k.edge
		k.ended.fail(revocation.ErrNotDurable)
		wantRefusal(t, "a repetition that cannot be waited for", k.postRevoke(t, revocationOf(dead), nil), 503, "temporarily_unavailable")
	})
}

// TestEndingsAreOfFixedSize: a token displaces the one in its place, and no other.
func TestEndingsAreOfFixedSize(t *testing.T) {
	t.Parallel()
	var e endings
	now := time.Now()
	e.remember("abc0", now)
	e.remember("abd0", now)
	e.remember("abc1", now)
	for jti, want := range map[string]bool{"abc0": false, "abc1": true, "abd0": true, "fff0": false} {
		if got := e.covers(jti, now); got != want {
			t.Errorf("covers %s: %v, want %v", jti, got, want)
		}
	}
	if e.covers("abc1", now.Add(time.Second)) {
		t.Error("it covers what must be kept for longer")
	}
}

// finds is a store that has a token, whatever was done to it.
type finds struct{ pass exchange.Pass }

func (f finds) Swap(context.Context, string, exchange.Freshness) (exchange.Pass, exchange.Source, error) {
	return f.pass, exchange.SourceMiss, nil
}

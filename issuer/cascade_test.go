package issuer

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/trust"
)

// X7: with the parent dies what came of it, three exchanges deep, on edges that have it all in their caches; whichever of
// the family is revoked, in whichever form.
func TestX7_TheEndOfASubjectEndsWhatCameOfIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, withExchange(t, nil))
		for name, presented := range map[string]func(reference string) string{
			"reference": func(r string) string { return r },
			"JWT":       func(r string) string { return s.jwt(t, r, "orders-api") },
		} {
			family := []string{s.token(t, shop("scope", bothAudiences)).AccessToken}
			family = append(family, s.token(t, exchangeOf("orders", s.jwt(t, family[0], "orders-api"), jwtType, "scope", "invoices:read")).AccessToken)
			family = append(family, s.token(t, exchangeOf("broker", family[0], accessTokenType, "scope", "orders:read invoices:read")).AccessToken)
			family = append(family, s.token(t, exchangeOf("broker", family[2], accessTokenType, "scope", "orders:read")).AccessToken)
			family = append(family, s.token(t, exchangeOf("broker", family[3], accessTokenType, "scope", "orders:read")).AccessToken)
			other := s.token(t, shop()).AccessToken
			for n, token := range family {
				if got := s.accepted(t, token); got != 3 {
					t.Fatalf("%s: before: member %d accepted by %d edges", name, n, got)
				}
			}
			wantRevoked(t, name, s.postRevoke(t, revocationOf(presented(family[0])), nil))
			for n, token := range family {
				if got := s.accepted(t, token); got != 0 {
					t.Errorf("%s: after the answer %d edges accept member %d", name, got, n)
				}
			}
			if got := s.accepted(t, other); got != 3 {
				t.Errorf("%s: after the answer %d edges accept another token", name, got)
			}
		}
	})
}

// crossing revokes what it has just looked at, before it says so.
type crossing struct {
	Grants
	then func()
}

func (c crossing) Swap(ctx context.Context, raw string, f exchange.Freshness) (exchange.Pass, exchange.Source, error) {
	p, s, err := c.Grants.Swap(ctx, raw, f)
	c.then()
	return p, s, err
}

// X7: a revocation between the look at the subject and the deposit refuses the deposit.
func TestX7_ARevocationInBetweenRefusesTheDeposit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, withExchange(t, nil))
		token := s.token(t, shop("scope", "orders:read")).AccessToken
		family := s.family(t, token)
		s.grants = crossing{s.grants, func() { s.order(t, `{"family":"`+family+`"}`) }}
		s.refusedExchange(t, "revoked in between", exchangeOf("broker", token, accessTokenType, "scope", "orders:read"), "temporarily_unavailable")
	})
}

// Whatever is sent as a token, the answer is an error that is ours: no panic, no token, no trouble of the service.
func FuzzSubjectToken(f *testing.F) {
	k := newKit(f, withExchange(f, nil))
	reference := k.token(f, shop("scope", bothAudiences)).AccessToken
	jwt := k.jwt(f, reference, "orders-api")
	parts := strings.Split(jwt, ".")
	for _, seed := range []string{
		"", ".", "..", "a.b.c", reference[:20], jwt[:len(jwt)-10], parts[0] + ".." + parts[2], parts[0] + "." + parts[1] + ".", "eyJ0eXAiOm51bGx9.eyJpc3MiOjF9.AA",
		"bnVsbA.bnVsbA.AA", strings.Repeat(".", 5000), parts[0] + "\n." + parts[1] + "." + parts[2], strings.Repeat("W10", 100) + ".e30.e30",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, raw string, isJWT bool) {
		kind := map[bool]string{true: jwtType, false: accessTokenType}[isJWT]
		trust.Say(raw)
		for _, client := range []string{"orders", "broker", "portal"} {
			known := k.register.clients.Lookup(client)
			l := look{client: known, references: known.Exchange.References, bad: invalidRequest, what: "subject_token"}
			_, _, no := k.lookAt(t.Context(), l, raw, kind)
			if raw != jwt && raw != reference && (no == nil || no.outcome != invalidRequest) {
				t.Errorf("%s, %q as %s: %+v, want a refusal", client, raw, kind, no)
			}
		}
	})
}

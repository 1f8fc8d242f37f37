package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/trust/trusttest"
	"github.com/coatcheck/coatcheck/revocation"
)

// withRefresh is withExchange with refresh tokens: for portal, whose families begin with the word of a provider, for broker,
// whose short tokens come from those of portal and shop, and for shop, which gets none by client_credentials.
func withRefresh(t testing.TB, idp *trusttest.Issuer) func(*Config) {
	exchanging := withExchange(t, idp)
	return func(c *Config) {
		exchanging(c)
		change := func(id string, f func(*clients.Client)) {
			x := c.Clients[id]
			x.GrantTypes, x.RefreshTTL = append(x.GrantTypes[:len(x.GrantTypes):len(x.GrantTypes)], refreshToken), 24*time.Hour
			f(&x)
			c.Clients[id] = x
		}
		change("portal", func(*clients.Client) {})
		change("shop", func(*clients.Client) {})
		change("broker", func(x *clients.Client) {
			x.TTL, x.Exchange.References = time.Minute, []string{"portal", "broker", "shop"}
		})
	}
}

// refreshOf is a form by which a client uses a refresh token; pairs add to it.
func refreshOf(client, token string, pairs ...string) url.Values {
	f := url.Values{"grant_type": {refreshToken}, "client_id": {client}, "client_secret": {shopSecret}, "refresh_token": {token}}
	for n := 0; n < len(pairs); n += 2 {
		f.Set(pairs[n], pairs[n+1])
	}
	return f
}

// newRefreshKit is a kit, and the first tokens of a family of portal for both audiences.
func newRefreshKit(t testing.TB, changes ...func(*Config)) (*kit, tokenAnswer, *trusttest.Issuer) {
	t.Helper()
	idp := trusttest.New(t)
	k := newKit(t, append([]func(*Config){withRefresh(t, idp)}, changes...)...)
	return k, k.token(t, bearerOf(idp.Token(t, trusttest.Claims()), "scope", bothAudiences)), idp
}

// TestT9_NoRefreshTokenForClientCredentials: also for a client that has them otherwise.
func TestT9_NoRefreshTokenForClientCredentials(t *testing.T) {
	t.Parallel()
	k, first, idp := newRefreshKit(t)
	if got := k.token(t, shop()); got.RefreshToken != "" {
		t.Error("client_credentials gives a refresh token")
	}
	if first.RefreshToken == "" {
		t.Error("jwt-bearer gives no refresh token to a client that is to have one")
	}
	plain := newKit(t, withExchange(t, idp))
	w := plain.post(t, bearerOf(idp.Token(t, trusttest.Claims())), nil)
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "refresh") {
		t.Errorf("a client without refresh_ttl: %d %s, want a token, and no word of refreshing", w.Code, w.Body)
	}
	wantRefusal(t, "refresh by it", plain.post(t, refreshOf("portal", first.RefreshToken), nil), http.StatusBadRequest, "unauthorized_client")
}

// TestT15_AnotherClientsRefreshTokenIsNotConsumed.
func TestT15_AnotherClientsRefreshTokenIsNotConsumed(t *testing.T) {
	t.Parallel()
	k, first, _ := newRefreshKit(t)
	for _, client := range []string{"broker", "shop"} {
		k.refusedExchange(t, client, refreshOf(client, first.RefreshToken), "invalid_grant")
	}
	for what, raw := range map[string]string{
		"a reference": first.AccessToken, "nothing like one": "x", "a forged one": first.RefreshToken[:len(first.RefreshToken)-1] + "0",
	} {
		k.refusedExchange(t, what, refreshOf("portal", raw), "invalid_grant")
	}
	k.refusedExchange(t, "none", refreshOf("portal", ""), "invalid_request")
	if said := k.ended.said(); len(said) > 0 {
		t.Errorf("something was revoked: %v", said)
	}
	if again := k.token(t, refreshOf("portal", first.RefreshToken)); again.RefreshToken == "" || again.RefreshToken == first.RefreshToken {
		t.Error("its own client could not use it afterwards, or got the same token again")
	}
}

// TestT16_RefreshNarrowsAndNeverWidens, and the next token has again all that the first grant had.
func TestT16_RefreshNarrowsAndNeverWidens(t *testing.T) {
	t.Parallel()
	idp := trusttest.New(t)
	k := newKit(t, withRefresh(t, idp))
	first := k.token(t, bearerOf(idp.Token(t, trusttest.Claims()), "scope", "orders:read invoices:read"))
	narrow := k.token(t, refreshOf("portal", first.RefreshToken, "scope", "orders:read"))
	if narrow.Scope != "orders:read" || hasShare(k, t, narrow.AccessToken, "billing-api") {
		t.Errorf("narrowed: scope %q, want orders:read, and nothing for billing-api", narrow.Scope)
	}
	k.refusedExchange(t, "a scope that the first grant had not", refreshOf("portal", narrow.RefreshToken, "scope", "orders:write"), "invalid_scope")
	k.refusedExchange(t, "an audience that is not there", refreshOf("portal", narrow.RefreshToken, "audience", "secret-api"), "invalid_target")
	whole := k.token(t, refreshOf("portal", narrow.RefreshToken))
	if whole.Scope != "invoices:read orders:read" {
		t.Errorf("the next without scope: %q, want all of the first grant", whole.Scope)
	}
	was, is := k.decoded(t, first.AccessToken, "orders-api"), k.decoded(t, whole.AccessToken, "orders-api")
	for _, name := range []string{"sub", "staff_tenant", "handles"} {
		if jsonOf(t, was[name]) != jsonOf(t, is[name]) {
			t.Errorf("%s: %v at first, %v when refreshed", name, was[name], is[name])
		}
	}
}

// What a client may have is looked up at each use.
func TestRefreshGivesWhatTheClientMayHaveNow(t *testing.T) {
	t.Parallel()
	k, first, idp := newRefreshKit(t)
	less := newKitOn(t, k, withRefresh(t, idp), func(c *Config) {
		x := c.Clients["portal"]
		x.Audiences = map[string][]string{"orders-api": {"orders:read"}}
		c.Clients["portal"] = x
	})
	less.refusedExchange(t, "a scope that was taken from the client", refreshOf("portal", first.RefreshToken, "scope", "orders:write"), "invalid_scope")
	got := less.token(t, refreshOf("portal", first.RefreshToken))
	if got.Scope != "orders:read" {
		t.Errorf("scope %q, want what is left to the client", got.Scope)
	}
	without := newKitOn(t, k, withExchange(t, idp))
	without.refusedExchange(t, "a client that has no refresh tokens any more", refreshOf("portal", got.RefreshToken), "unauthorized_client")
}

// TestS3_ReplayEndsTheFamilyAndWhatWasExchangedFromIt: to depth 3, and the newest token with it.
func TestS3_ReplayEndsTheFamilyAndWhatWasExchangedFromIt(t *testing.T) {
	t.Parallel()
	k, first, _ := newRefreshKit(t)
	second := k.token(t, refreshOf("portal", first.RefreshToken))
	one := k.token(t, exchangeOf("broker", second.AccessToken, accessTokenType, "scope", "orders:read"))
	two := k.token(t, exchangeOf("broker", one.AccessToken, accessTokenType, "scope", "orders:read"))
	three := k.token(t, exchangeOf("broker", two.AccessToken, accessTokenType, "scope", "orders:read"))
	third := k.token(t, refreshOf("portal", second.RefreshToken))
	handle := k.family(t, first.AccessToken)
	k.refusedExchange(t, "the first token again, after the next was used", refreshOf("portal", first.RefreshToken), "invalid_grant")
	for what, answer := range map[string]tokenAnswer{"first": first, "second": second, "third": third, "exchanged once": one, "twice": two, "three times": three} {
		if k.lives(t, answer.AccessToken) {
			t.Errorf("%s: the reference lives", what)
		}
	}
	if one.RefreshToken == "" {
		t.Error("an exchange by broker gives no refresh token")
	} else {
		k.refusedExchange(t, "a refresh token that came with an exchange", refreshOf("broker", one.RefreshToken), "invalid_grant")
	}
	k.refusedExchange(t, "the newest token", refreshOf("portal", third.RefreshToken), "invalid_grant")
	if said := k.ended.said(); len(said) != 1 || said[0] != "revoke family "+handle {
		t.Errorf("asked of the revoker: %v, want the family once", said)
	}
	if until := k.ended.orders[0].Until; until.Before(time.Now().Add(24 * time.Hour)) {
		t.Errorf("the revocation is kept until %v, which is before a family can end", until)
	}
	if log := k.log.String(); !strings.Contains(log, `"outcome":"replayed"`) || strings.Contains(log, first.RefreshToken[5:20]) {
		t.Errorf("the log must tell of the replay and not of the token: %s", log)
	}
}

// TestS3_ReplayThatCannotBeRevokedIs503: nobody is told that a stolen token is harmless while it is not.
func TestS3_ReplayThatCannotBeRevokedIs503(t *testing.T) {
	t.Parallel()
	k, first, _ := newRefreshKit(t)
	second := k.token(t, refreshOf("portal", first.RefreshToken))
	k.ended.fail(fmt.Errorf("%w: no disk", revocation.ErrNotDurable))
	k.refusedExchange(t, "replay", refreshOf("portal", first.RefreshToken, "scope", "orders:read"), "temporarily_unavailable")
	k.ended.fail(nil)
	k.refusedExchange(t, "replay, when it can be revoked", refreshOf("portal", first.RefreshToken, "scope", "orders:read"), "invalid_grant")
	k.refusedExchange(t, "the newest token", refreshOf("portal", second.RefreshToken), "invalid_grant")
}

// TestS3_ReplayIsSeenAfterARestart of the issuer, which keeps nothing of families itself, and of the store with its data.
func TestS3_ReplayIsSeenAfterARestart(t *testing.T) {
	t.Parallel()
	k, first, idp := newRefreshKit(t)
	second := k.token(t, refreshOf("portal", first.RefreshToken))
	k.store.Restart()
	k.refusedExchange(t, "while the store is closed", refreshOf("portal", second.RefreshToken), "temporarily_unavailable")
	again := newKitOn(t, k, withRefresh(t, idp))
	third := again.token(t, refreshOf("portal", second.RefreshToken))
	again.refusedExchange(t, "the first token", refreshOf("portal", first.RefreshToken), "invalid_grant")
	again.refusedExchange(t, "the newest token", refreshOf("portal", third.RefreshToken), "invalid_grant")
}

// TestS4_ARetryGetsTheSameAnswer, until the next token is used; any other request is a replay.
func TestS4_ARetryGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	k, first, _ := newRefreshKit(t)
	second := k.token(t, refreshOf("portal", first.RefreshToken, "scope", "orders:read"))
	retry := k.token(t, refreshOf("portal", first.RefreshToken, "scope", "orders:read"))
	if retry.ExpiresIn > second.ExpiresIn || retry.ExpiresIn < second.ExpiresIn-60 {
		t.Errorf("the same request: expires in %d s, at first in %d", retry.ExpiresIn, second.ExpiresIn)
	}
	if retry.ExpiresIn = second.ExpiresIn; retry != second {
		t.Error("the same request was answered otherwise")
	}
	k.swap(t, retry.AccessToken)
	if !strings.Contains(k.log.String(), `"outcome":"repeated"`) {
		t.Errorf("the log does not tell a repeated answer from a new token: %s", k.log)
	}
	third := k.token(t, refreshOf("portal", second.RefreshToken))
	k.refusedExchange(t, "the same request, after the next token was used", refreshOf("portal", first.RefreshToken, "scope", "orders:read"), "invalid_grant")
	k.refusedExchange(t, "the newest token", refreshOf("portal", third.RefreshToken), "invalid_grant")
}

// TestS4_OfParallelUsesOneFamilyLives: fifty at once, many times over. COATCHECK_RACES says how many; 20 by default.
func TestS4_OfParallelUsesOneFamilyLives(t *testing.T) {
	t.Parallel()
	k, _, idp := newRefreshKit(t)
	for range races(t) {
		k.race(t, []*kit{k}, idp)
	}
}

func races(t testing.TB) int {
	n, err := strconv.Atoi(os.Getenv("COATCHECK_RACES"))
	if err != nil {
		return 20
	}
	t.Logf("%d races", n)
	return n
}

// race lets fifty use one refresh token at the same moment, at all of these issuers in turn.
func (k *kit) race(t testing.TB, at []*kit, idp *trusttest.Issuer) {
	t.Helper()
	const racers = 50
	first := k.token(t, bearerOf(idp.Token(t, trusttest.Claims()), "scope", "orders:read"))
	answers := make([]*httptest.ResponseRecorder, racers)
	var all sync.WaitGroup
	start := make(chan struct{})
	for n := range racers {
		all.Go(func() {
			<-start
			answers[n] = at[n%len(at)].post(t, refreshOf("portal", first.RefreshToken), nil)
		})
	}
	close(start)
	all.Wait()
	var winner tokenAnswer
	for n, w := range answers {
		var got tokenAnswer
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
			t.Fatalf("racer %d: %d %s", n, w.Code, w.Body)
		}
		if n == 0 {
			winner = got
		}
		if got.AccessToken != winner.AccessToken || got.RefreshToken != winner.RefreshToken {
			t.Fatalf("racer %d has other tokens than racer 0", n)
		}
	}
	grants, families := k.membersOf(t, first.AccessToken)
	if grants != 2 || families != 1 { // the first grant, and one that was refreshed
		t.Fatalf("%d grants and %d families of refresh tokens are in the store, want 2 and 1", grants, families)
	}
	k.token(t, refreshOf("portal", winner.RefreshToken))
}

// membersOf counts the live records of a reference's family.
func (k *kit) membersOf(t testing.TB, reference string) (grants, families int) {
	t.Helper()
	handle := k.family(t, reference)
	_, _, err := k.walk(t.Context(), walkPlace{}, func(page []revocation.Listed) bool {
		for _, l := range page {
			switch {
			case l.Family != handle || l.Revoked:
			case l.Refresh:
				families++
			default:
				grants++
			}
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	return grants, families
}

// TestR6_RevokingARefreshTokenEndsAllThatCameFromIt, to depth 3: by the newest token, by an older one, by a reference and by
// a JWT; with any hint.
func TestR6_RevokingARefreshTokenEndsAllThatCameFromIt(t *testing.T) {
	t.Parallel()
	for what, choose := range map[string]func(k *kit, t *testing.T, first, second tokenAnswer) string{
		"the newest refresh token": func(_ *kit, _ *testing.T, _, second tokenAnswer) string { return second.RefreshToken },
		"an older refresh token":   func(_ *kit, _ *testing.T, first, _ tokenAnswer) string { return first.RefreshToken },
		"a reference":              func(_ *kit, _ *testing.T, first, _ tokenAnswer) string { return first.AccessToken },
		"a JWT": func(k *kit, t *testing.T, _, second tokenAnswer) string {
			return k.jwt(t, second.AccessToken, "orders-api")
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			k, first, _ := newRefreshKit(t)
			second := k.token(t, refreshOf("portal", first.RefreshToken))
			last := second
			answers := []tokenAnswer{first, second}
			for range 3 {
				last = k.token(t, exchangeOf("broker", last.AccessToken, accessTokenType, "scope", "orders:read"))
				answers = append(answers, last)
			}
			raw := choose(k, t, first, second)
			wantRefusal(t, "by another client", k.postRevoke(t, revocationOf(raw), nil), http.StatusBadRequest, "invalid_grant")
			if !k.lives(t, second.AccessToken) {
				t.Fatal("another client has ended it")
			}
			wantRevoked(t, what, k.postRevoke(t, revocationOf(raw, "client_id", "portal", "token_type_hint", "access_token"), nil))
			for n, a := range answers {
				if k.lives(t, a.AccessToken) {
					t.Errorf("reference %d lives", n)
				}
			}
			k.refusedExchange(t, "refresh", refreshOf("portal", second.RefreshToken), "invalid_grant")
			k.refusedExchange(t, "refresh by the exchanger", refreshOf("broker", answers[2].RefreshToken), "invalid_grant")
			wantRevoked(t, "once more", k.postRevoke(t, revocationOf(raw, "client_id", "portal"), nil))
		})
	}
}

// What cannot be told is a 503, and nothing is consumed by it.
func TestRefreshThatCannotTellIs503(t *testing.T) {
	t.Parallel()
	k, first, _ := newRefreshKit(t)
	k.store.Fill(true)
	k.refusedExchange(t, "a full store", refreshOf("portal", first.RefreshToken), "temporarily_unavailable")
	k.store.Fill(false)
	k.store.Demote()
	k.refusedExchange(t, "a replica", refreshOf("portal", first.RefreshToken), "temporarily_unavailable")
	w := k.postRevoke(t, revocationOf(first.RefreshToken, "client_id", "portal"), nil)
	wantRefusal(t, "revocation at a replica", w, http.StatusServiceUnavailable, "temporarily_unavailable")
	if errors.Is(k.Ready(), exchange.ErrUnavailable) {
		t.Error("not ready")
	}
}

// A subject that is revoked takes its families with it, and a family that has ended is no oracle.
func TestRefreshEndsWithItsSubject(t *testing.T) {
	t.Parallel()
	k, first, _ := newRefreshKit(t)
	subject := k.decoded(t, first.AccessToken, "orders-api")["sub"].(string)
	before := k.order(t, `{"subject":`+jsonOf(t, subject)+`,"dry_run":true}`)
	if before.Found != 2 {
		t.Errorf("%d records of the subject, want the grant and the family", before.Found)
	}
	k.order(t, `{"subject":`+jsonOf(t, subject)+`}`)
	if until := k.ended.orders[0].Until; until.Before(time.Now().Add(24 * time.Hour)) {
		t.Errorf("the revocation is kept until %v, which is before a family can end", until)
	}
	dead := k.post(t, refreshOf("portal", first.RefreshToken), nil)
	wantRefusal(t, "after the revocation", dead, http.StatusBadRequest, "invalid_grant")
	unknown := k.post(t, refreshOf("portal", "cckr_"+strings.Repeat("0", 65)), nil)
	if dead.Body.String() != unknown.Body.String() {
		t.Errorf("a dead token is told from one that never was: %s and %s", dead.Body, unknown.Body)
	}
}

// A writer of the store that puts back where a family stood before its last turn can have a used token accepted once more: by
// who still has it, and can authenticate as the client. Then, or when the rightful holder comes, the family ends.
func TestWriterOfTheStoreGainsOneUseOfATokenThatHeHas(t *testing.T) {
	t.Parallel()
	k, first, idp := newRefreshKit(t)
	before := k.store.Snapshot()
	second := k.token(t, refreshOf("portal", first.RefreshToken))
	k.store.Restore(before)
	back := newKitOn(t, k, withRefresh(t, idp))
	stolen := back.token(t, refreshOf("portal", first.RefreshToken))
	back.refusedExchange(t, "the rightful holder", refreshOf("portal", second.RefreshToken), "invalid_grant")
	back.refusedExchange(t, "the thief, from then on", refreshOf("portal", stolen.RefreshToken), "invalid_grant")
	if back.lives(t, stolen.AccessToken) {
		t.Error("what the thief got lives on")
	}
}

// newKitOn is another issuer on the store of one, which it opens if it finds it closed; they have one revoker.
func newKitOn(t testing.TB, one *kit, changes ...func(*Config)) *kit {
	t.Helper()
	vouch(t, one.store, one.ended.author)
	k := buildKit(t, one.store, append(changes, func(c *Config) { c.Revoker = one.ended })...)
	if err := k.keeper.Look(t.Context()); err != nil {
		t.Fatalf("load key ring: %v", err)
	}
	k.ended = one.ended
	return k
}

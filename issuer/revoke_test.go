package issuer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
)

// R1: POST, by an authenticated client, with a token; in the order that tells nothing to who has not authenticated.
func TestR1_PostByAnAuthenticatedClient(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	token := k.token(t, shop()).AccessToken
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "post"} {
		w := k.sendRevoke(t, method, revocationOf(token).Encode(), nil)
		wantRefusal(t, method, w, 405, "invalid_request")
		if got := w.Header().Get("Allow"); got != "POST" {
			t.Errorf("%s: Allow %q, want POST", method, got)
		}
	}
	tokenAlone := url.Values{"token": {token}}
	for _, row := range []struct {
		name   string
		w      *httptest.ResponseRecorder
		status int
		code   string
	}{
		{"no authentication", k.postRevoke(t, tokenAlone, nil), 401, "invalid_client"},
		{"the token as its own authentication", k.postRevoke(t, tokenAlone, http.Header{"Authorization": {"Bearer " + token}}), 401, "invalid_client"},
		{"wrong secret", k.postRevoke(t, revocationOf(token, "client_secret", "wrong-secret-0123456789"), nil), 401, "invalid_client"},
		{"unknown client", k.postRevoke(t, revocationOf(token, "client_id", "nobody"), nil), 401, "invalid_client"},
		{"id alone", k.postRevoke(t, revocationOf(token, "client_secret", ""), nil), 401, "invalid_client"},
		{"public client", k.postRevoke(t, revocationOf(token, "client_id", "public", "client_secret", ""), nil), 401, "invalid_client"},
		{"two ways", k.postRevoke(t, revocationOf(token), basic("shop", shopSecret)), 400, "invalid_request"},
		{"no token", k.postRevoke(t, revocationOf(""), nil), 400, "invalid_request"},
		{"no token and no authentication", k.postRevoke(t, url.Values{}, nil), 401, "invalid_client"},
		{"two tokens", k.sendRevoke(t, "POST", revocationOf(token).Encode()+"&token=x", nil), 400, "invalid_request"},
		{"no form", k.sendRevoke(t, "POST", `{"token":"x"}`, http.Header{"Content-Type": {"application/json"}}), 415, "invalid_request"},
		{"a token without end", k.postRevoke(t, revocationOf(strings.Repeat("x", maxValue+1)), nil), 400, "invalid_request"},
		{"a body without end", k.postRevoke(t, revocationOf(strings.Repeat("x", maxForm+1)), nil), 413, "invalid_request"},
	} {
		wantRefusal(t, row.name, row.w, row.status, row.code)
	}
	if calls := k.ended.said(); len(calls) > 0 || !k.lives(t, token) {
		t.Errorf("refused requests reached the revoker (%v), or ended the token", calls)
	}
	wantRevoked(t, "by a secret in the body", k.postRevoke(t, revocationOf(token), nil))
	wantRevoked(t, "by Basic", k.postRevoke(t, tokenAlone, basic("shop", shopSecret)))
	wantRevoked(t, "by argon2id", k.postRevoke(t, revocationOf("x", "client_id", "old", "client_secret", oldSecret), nil))
	if k.lives(t, token) {
		t.Error("the token lives")
	}
}

// R2: a token of another client is refused, and stays valid, in both of its forms.
func TestR2_TokensOfOthersStayValid(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	reference := k.token(t, shop()).AccessToken
	jwt := k.jwt(t, reference, "orders-api")
	for name, token := range map[string]string{"reference": reference, "JWT": jwt} {
		wantRefusal(t, name, k.postRevoke(t, revocationOf(token, "client_id", "single"), nil), 400, "invalid_grant")
		if calls := k.ended.said(); len(calls) > 0 || !k.lives(t, reference) {
			t.Errorf("%s: another client's token reached the revoker (%v), or ended", name, calls)
		}
	}
	// Its owner may give it back as either.
	wantRevoked(t, "JWT", k.postRevoke(t, revocationOf(jwt), nil))
	if calls, want := k.ended.said(), []string{"revoke token " + k.jti(t, reference)}; !cmp.Equal(calls, want) || k.lives(t, reference) {
		t.Errorf("by its JWT: %v, want %v; lives %v", calls, want, k.lives(t, reference))
	}
}

// R3: whatever a hint says, the token is found; an unknown one is ignored.
func TestR3_HintsNarrowNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, hint := range []string{"access_token", "refresh_token", "pat", "urn:x:y", " ", strings.Repeat("x", maxValue)} {
		for _, form := range []string{"reference", "JWT"} {
			token := k.token(t, shop()).AccessToken
			jti := k.jti(t, token)
			if form == "JWT" {
				token = k.jwt(t, token, "orders-api")
			}
			wantRevoked(t, form, k.postRevoke(t, revocationOf(token, "token_type_hint", hint), nil))
			if calls, want := k.ended.said(), []string{"revoke token " + jti}; !cmp.Equal(calls, want) {
				t.Errorf("%s with hint %.20q: %v, want %v", form, hint, calls, want)
			}
		}
	}
}

// R4: dead tokens of every kind get the answer of a live one, byte for byte, after the same time.
func TestR4_DeadTokensAreNoOracle(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	live := k.token(t, shop()).AccessToken
	again := k.token(t, shop()).AccessToken
	wantRevoked(t, "a live token", k.postRevoke(t, revocationOf(again), nil))
	stranger, err := exchange.NewStamper("cck", time.Hour, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	jwt := k.jwt(t, live, "orders-api")
	otherKeys := newKit(t)
	k.ended.said()
	want := k.postRevoke(t, revocationOf(live), nil)
	wantRevoked(t, "a live token", want)
	if calls := k.ended.said(); !cmp.Equal(calls, []string{"revoke token " + k.jti(t, live)}) {
		t.Fatalf("a live token: %v", calls)
	}
	// What is ours and young, and not in the store, may come back from a copy of the store: it is revoked once more.
	never := k.stamper.New().Reveal()
	for name, token := range map[string]string{"already revoked": again, "never issued, or lost": never} {
		w := k.postRevoke(t, revocationOf(token), nil)
		wantRevoked(t, name, w)
		if calls, want := k.ended.said(), []string{"revoke token " + k.jti(t, token)}; !cmp.Equal(calls, want) {
			t.Errorf("%s: %v, want %v", name, calls, want)
		}
		if diff := cmp.Diff(want.Header(), w.Header()); diff != "" {
			t.Errorf("%s: header differs from that of a live token (-want +got):\n%s", name, diff)
		}
	}
	for _, reason := range []exchange.Reason{exchange.ReasonExpired, exchange.ReasonKeyRevoked} {
		other := k.token(t, shop()).AccessToken
		k.ended.said()
		grants := k.grants
		k.grants = sees{reason}
		wantRevoked(t, string(reason), k.postRevoke(t, revocationOf(other), nil))
		k.grants = grants
		if calls, want := k.ended.said(), []string{"revoke token " + k.jti(t, other)}; !cmp.Equal(calls, want) {
			t.Errorf("%s to this issuer, alive to an edge: %v, want %v", reason, calls, want)
		}
	}
	for name, token := range map[string]string{
		"forged":                        stranger.New().Reveal(),
		"malformed":                     "cck_x",
		"truncated":                     live[:len(live)-1],
		"a jti":                         k.jti(t, live),
		"nothing that makes sense":      "\x00\r\n ü 🧥",
		"JWT with a broken signature":   jwt[:len(jwt)-4] + "AAAA",
		"JWT signed by somebody":        otherKeys.signed(t, tokenType, claimsOf("shop")),
		"JWT that has expired":          k.signed(t, tokenType, claimsOf("shop", "exp", time.Now().Unix()-61)),
		"JWT for a list of audiences":   k.signed(t, tokenType, claimsOf("shop", "aud", []string{"orders-api"})),
		"JWT without audience":          k.signed(t, tokenType, claimsOf("shop", "aud", nil)),
		"JWT without expiry":            k.signed(t, tokenType, claimsOf("shop", "exp", nil)),
		"two dots":                      "..",
		"JWT whose header is no JSON":   "e30x." + strings.SplitN(jwt, ".", 2)[1],
		"JWT with white space in it":    strings.Replace(jwt, ".", "\n.", 1),
		"JWT with something behind it":  jwt + "\n",
		"JWT whose payload is no claim": strings.Split(jwt, ".")[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`[]`)) + ".AAAA",
	} {
		w := k.postRevoke(t, revocationOf(token), nil)
		wantRevoked(t, name, w)
		if calls := k.ended.said(); !cmp.Equal(calls, []string{"pretend"}) {
			t.Errorf("%s: %v, want one call of Pretend", name, calls)
		}
		if diff := cmp.Diff(want.Header(), w.Header()); diff != "" {
			t.Errorf("%s: header differs from that of a live token (-want +got):\n%s", name, diff)
		}
	}
}

// A JWT can be given back for as long as a service may still accept it.
// sees is what an issuer finds whose clock, or whose reading of the log, is not that of an edge.
type sees struct{ reason exchange.Reason }

func (s sees) Swap(context.Context, string, exchange.Freshness) (exchange.Pass, exchange.Source, error) {
	return exchange.Pass{}, exchange.SourceMiss, &exchange.Refusal{Reason: s.reason}
}

func TestR4_LenientServices(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	c := claimsOf("shop", "exp", time.Now().Unix()-50)
	wantRevoked(t, "expired 50 s ago", k.postRevoke(t, revocationOf(k.signed(t, tokenType, c)), nil))
	if calls, want := k.ended.said(), []string{"revoke token " + c["jti"].(string)}; !cmp.Equal(calls, want) {
		t.Errorf("expired 50 s ago: %v, want %v", calls, want)
	}
}

// slowGrants takes a time that depends on the token, as a store and a signature do.
type slowGrants struct {
	Grants
	takes func(raw string) time.Duration
}

func (g slowGrants) Swap(ctx context.Context, raw string, f exchange.Freshness) (exchange.Pass, exchange.Source, error) {
	time.Sleep(g.takes(raw))
	return g.Grants.Swap(ctx, raw, f)
}

// R9: how long the look at a token takes does not show: every answer comes to its wait at the same moment.
func TestR9_TheLookDoesNotShow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		alive, dead := k.token(t, shop()).AccessToken, k.stamper.New().Reveal()
		k.grants = slowGrants{k.grants, func(raw string) time.Duration {
			if raw == alive {
				return 7 * time.Millisecond
			}
			return time.Millisecond
		}}
		for name, token := range map[string]string{"alive": alive, "dead": dead, "malformed": "x", "a forged JWT": "e30.e30.AA"} {
			if name == "a forged JWT" {
				token = newKit(t).signed(t, tokenType, claimsOf("shop"))
			}
			began := time.Now()
			wantRevoked(t, name, k.postRevoke(t, revocationOf(token), nil))
			if took := time.Since(began); took != lookTime {
				t.Errorf("%s: answered after %v, want %v like every other", name, took, lookTime)
			}
		}
	})
}

// R7: what is not in force, or cannot be told, is a 503 with Retry-After; never a 200.
func TestR7_NotDurableIsNever200(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	token := k.token(t, shop()).AccessToken
	jwt := k.jwt(t, token, "orders-api")
	for _, cause := range []error{
		fmt.Errorf("revoke: %w", revocation.ErrNotDurable), context.DeadlineExceeded, errors.New("journal: disk full"), store.ErrUnavailable,
	} {
		k.ended.fail(cause)
		for name, presented := range map[string]string{"reference": token, "JWT": jwt, "unknown": "x"} {
			w := k.postRevoke(t, revocationOf(presented), nil)
			wantRefusal(t, name+": "+cause.Error(), w, 503, "temporarily_unavailable")
			if w.Header().Get("Retry-After") == "" {
				t.Errorf("%s: %v: no Retry-After", name, cause)
			}
		}
	}
	k.ended.fail(nil)
	wantRevoked(t, "when it is back", k.postRevoke(t, revocationOf(token), nil))
}

// cannotTell is a look at a token that says nothing about it.
type cannotTell struct{ err error }

func (c cannotTell) Swap(context.Context, string, exchange.Freshness) (exchange.Pass, exchange.Source, error) {
	return exchange.Pass{}, exchange.SourceMiss, c.err
}

func TestR7_ALookThatCannotTellIsNever200(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	token := k.token(t, shop()).AccessToken
	for _, err := range []error{
		&exchange.Refusal{Reason: exchange.ReasonUnavailable, Err: store.ErrUnavailable},
		&exchange.Refusal{Reason: exchange.ReasonClosed},
		// Whose it was cannot be told, and who damaged the record may put it back.
		&exchange.Refusal{Reason: exchange.ReasonTampered},
		&exchange.Refusal{Reason: "a reason of a later version"},
		context.Canceled,
		errors.New("a bug"),
	} {
		k.grants = cannotTell{err}
		w := k.postRevoke(t, revocationOf(token), nil)
		wantRefusal(t, err.Error(), w, 503, "temporarily_unavailable")
		if calls := k.ended.said(); len(calls) > 0 || w.Header().Get("Retry-After") == "" {
			t.Errorf("%v: revoker was asked %v, Retry-After %q", err, calls, w.Header().Get("Retry-After"))
		}
	}
}

// The keys that would tell whether a JWT is ours are not confirmed: nobody knows.
func TestR7_KeysThatCannotTellAreNever200(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{StateStore: store.NewMemory()}
		k := newKit(t, func(c *Config) { c.State = f })
		f.away(true)
		time.Sleep(2 * time.Minute)
		raw := newKit(t).signed(t, tokenType, claimsOf("shop"))
		wantRefusal(t, "JWT by an unknown key", k.postRevoke(t, revocationOf(raw), nil), 503, "temporarily_unavailable")
	})
}

// R8: a JWT that by its own words is none of ours cannot be revoked here, and its holder must not think that it was.
func TestR8_WhatCannotBeRevoked(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for name, token := range map[string]string{
		"of another issuer":             k.signed(t, tokenType, claimsOf("shop", "iss", "https://elsewhere.example")),
		"of another issuer, with lists": k.signed(t, "JWT", claimsOf("shop", "iss", "https://elsewhere.example", "aud", []string{"a", "b"})),
		"of another class":              k.signed(t, exchange.ManifestType, claimsOf("shop")),
		"without jti":                   k.signed(t, tokenType, claimsOf("shop", "jti", nil)),
		"with a jti that is not ours":   k.signed(t, tokenType, claimsOf("shop", "jti", "some-other-id")),
	} {
		wantRefusal(t, name, k.postRevoke(t, revocationOf(token), nil), 400, "unsupported_token_type")
		if calls := k.ended.said(); len(calls) > 0 {
			t.Errorf("%s: the revoker was asked %v", name, calls)
		}
	}
}

// askedHow notes how fresh the answers had to be.
type askedHow struct {
	Grants
	fresh []exchange.Freshness
}

func (a *askedHow) Swap(ctx context.Context, raw string, f exchange.Freshness) (exchange.Pass, exchange.Source, error) {
	a.fresh = append(a.fresh, f)
	return a.Grants.Swap(ctx, raw, f)
}

// What an edge remembers of a token says nothing here: a token that is remembered as unknown may have come to life.
func TestTheLookAsksTheStore(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	asked := &askedHow{Grants: k.grants}
	k.grants = asked
	wantRevoked(t, "a token", k.postRevoke(t, revocationOf(k.token(t, shop()).AccessToken), nil))
	if !cmp.Equal(asked.fresh, []exchange.Freshness{exchange.Strict}) {
		t.Errorf("looked at with %v, want one strict look", asked.fresh)
	}
}

// Who hangs up has asked all the same.
func TestHangingUpRevokes(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	token := k.token(t, shop()).AccessToken
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, k.place.revokePath(), strings.NewReader(revocationOf(token).Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	k.Handler().ServeHTTP(w, r)
	wantRevoked(t, "hung up", w)
	if k.lives(t, token) {
		t.Error("the token lives")
	}
}

// A revocation is kept for longer than the token could live.
func TestRevocationsAreKeptBeyondTheToken(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	token := k.token(t, shop("client_id", "single")).AccessToken
	expires := k.swap(t, token).ExpiresAt()
	wantRevoked(t, "token", k.postRevoke(t, revocationOf(token, "client_id", "single"), nil))
	if got := k.ended.orders[0].Until; !got.Equal(expires.Add(keepLonger)) {
		t.Errorf("kept until %v, want %v after %v", got, keepLonger, expires)
	}
}

func TestRevocationLineAndCounter(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	token := k.token(t, shop()).AccessToken
	jti := k.jti(t, token)
	for _, row := range []struct {
		form url.Values
		want map[string]any
	}{
		{revocationOf(token, "client_id", "single"), map[string]any{"level": "WARN", "msg": "revocation refused", "client": "single", "outcome": "another_clients_token", "jti": jti, "reason": "the token was issued to another client"}},
		{revocationOf(token), map[string]any{"level": "INFO", "msg": "token revoked", "client": "shop", "outcome": "revoked", "jti": jti}},
		{revocationOf("cck_x"), map[string]any{"level": "INFO", "msg": "nothing to revoke", "client": "shop", "outcome": "nothing_to_revoke"}},
		{revocationOf(token, "client_id", "nobody"), map[string]any{"level": "WARN", "msg": "revocation refused", "client": "unknown", "outcome": "invalid_client", "reason": wrongCredentials, "error": "unknown client"}},
	} {
		k.postRevoke(t, row.form, nil)
		lines := strings.Split(strings.TrimSpace(k.log.String()), "\n")
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
			t.Fatal(err)
		}
		row.want["time"], row.want["duration_ms"], row.want["address"] = got["time"], got["duration_ms"], "192.0.2.1"
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("line (-want +got):\n%s", diff)
		}
	}
	if strings.Contains(k.log.String(), token) {
		t.Error("the reference is in the log")
	}
}

package exchange_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
)

const origin = "what the issuer wants to know again"

// begin stores a family, and returns the families of the kit with its first token.
func (k *kit) begin() (*exchange.Families, exchange.Refresh) {
	k.t.Helper()
	f := exchange.NewFamilies(k.depositor, k.records)
	now := time.Now().Truncate(time.Second)
	r := f.New()
	err := f.Begin(k.t.Context(), r, exchange.Family{
		Origin: origin, IssuedAt: now, ExpiresAt: now.Add(24 * time.Hour), Since: k.depositor.Since(),
		Handles: exchange.Handles{Client: "clienthandle", Family: "familyhandle", Subject: "subjecthandle"},
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return f, r
}

// turn uses a token for what ask says; the answer, if it turns, is the reference.
func (k *kit) turn(f *exchange.Families, r, next exchange.Refresh, ask string) (d *draft, again []byte, err error) {
	k.t.Helper()
	d = k.draft()
	d.reference = f.Reference(r)
	d.manifest.JTI = d.reference.JTI()
	again, err = f.Turn(k.t.Context(), exchange.Use{Token: r, Next: next, Ask: []byte(ask), Answer: []byte(d.reference.Reveal())}, d.reference, d.deposit())
	return d, again, err
}

func TestAFamilyTurns(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	f, first := k.begin()
	second := f.Next(first)
	d, again, err := k.turn(f, first, second, "orders")
	if again != nil || err != nil {
		t.Fatalf("first turn: %q, %v", again, err)
	}
	k.swap(d.reference.Reveal(), exchange.SourceMiss)

	retry, again, err := k.turn(f, first, f.Next(first), "orders")
	if string(again) != d.reference.Reveal() || err != nil {
		t.Errorf("the same request: answered %q, %v, want what was answered before", again, err)
	}
	k.refused(retry.reference.Reveal(), exchange.ReasonUnknown)
	if _, again, err = k.turn(f, first, f.Next(first), "invoices"); again != nil || !errors.Is(err, exchange.ErrReplayed) {
		t.Errorf("another request with the used token: %q, %v, want a replay", again, err)
	}
	if _, again, err = k.turn(f, second, f.Next(second), "orders"); again != nil || err != nil {
		t.Errorf("second turn: %q, %v", again, err)
	}
	if _, again, err = k.turn(f, first, f.Next(first), "orders"); again != nil || !errors.Is(err, exchange.ErrReplayed) {
		t.Errorf("the first request again, after the second: %q, %v, want a replay", again, err)
	}
	for _, r := range []exchange.Refresh{first, second} { // any token of it tells what the family is
		if got, _, err := f.Look(t.Context(), r); got != origin || err != nil {
			t.Errorf("Look: %q, %v, want %q", got, err, origin)
		}
	}
}

// TestAnswersAreForgotten: a retry is answered for ten seconds.
func TestAnswersAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		f, first := k.begin()
		d, _, err := k.turn(f, first, f.Next(first), "orders")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Second - 1)
		if _, again, err := k.turn(f, first, f.Next(first), "orders"); string(again) != d.reference.Reveal() || err != nil {
			t.Errorf("just before ten seconds: %q, %v", again, err)
		}
		time.Sleep(1)
		if _, again, err := k.turn(f, first, f.Next(first), "orders"); !errors.Is(err, exchange.ErrReplayed) {
			t.Errorf("after ten seconds: %q, %v, want a replay", again, err)
		}
	})
}

// TestEdgeRefusesRefreshTokensWithoutALook: no call of the store, and no verification of anything.
func TestEdgeRefusesRefreshTokensWithoutALook(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	_, r := k.begin()
	for _, f := range []exchange.Freshness{exchange.Leased, exchange.Strict} {
		_, _, err := k.edge.Swap(t.Context(), r.Reveal(), f)
		k.isRefusal(err, exchange.ReasonMalformed)
	}
	if takes, asked := k.records.takes.Load(), k.keys.asked.Load(); takes != 0 || asked != 0 {
		t.Errorf("%d look-ups and %d verifications, want none", takes, asked)
	}
}

// TestReaderOfTheStoreOpensNoFamily: neither who has a refresh token and reads the store, without our pepper; nor who has the
// peppers, without the token; and no blob opens under another name.
func TestReaderOfTheStoreOpensNoFamily(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	f, first := k.begin()
	if _, _, err := k.turn(f, first, f.Next(first), "orders"); err != nil {
		t.Fatal(err)
	}
	taken, err := k.records.Take(t.Context(), first.JTI())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(taken.Blob), origin) {
		t.Error("the origin is in the store in clear")
	}
	stranger := exchange.NewFamilies(exchange.NewDepositor(newStamper(t, randomKey()), k.records, k.follower), k.records)
	_, _, err = stranger.Look(t.Context(), first)
	k.isRefusal(err, exchange.ReasonTampered)

	_, other := k.begin()
	k.put(other.JTI(), taken.Blob)
	_, _, err = f.Look(t.Context(), other)
	k.isRefusal(err, exchange.ReasonTampered)
	k.put(other.JTI(), []byte("garbage"))
	_, _, err = f.Look(t.Context(), other)
	k.isRefusal(err, exchange.ReasonTampered)

	// An answer opens for the token that it was given to, and not for the one after it.
	k.records.again = func(again []byte) []byte { return again[:len(again)-1] }
	if _, again, err := k.turn(f, first, f.Next(first), "orders"); again != nil || !errors.Is(err, exchange.ErrUnavailable) {
		t.Errorf("an answer that was cut: %q, %v, want unavailable", again, err)
	}
}

// TestLookSaysWhatItDoesNotKnow: away is not gone.
func TestLookSaysWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	f, r := k.begin()
	for want, answer := range map[exchange.Reason]error{
		exchange.ReasonUnavailable: store.ErrUnavailable, exchange.ReasonClosed: fmt.Errorf("%w: %w", store.ErrUnavailable, store.ErrClosed),
		exchange.ReasonUnknown: store.ErrNotFound,
	} {
		k.records.failed = answer
		_, _, err := f.Look(t.Context(), r)
		k.isRefusal(err, want)
	}
	k.records.failed = nil
	k.revoke(store.KindFamily, "familyhandle")
	_, _, err := f.Look(t.Context(), r)
	k.isRefusal(err, exchange.ReasonUnknown)
	_, again, err := k.turn(f, r, f.Next(r), "orders")
	if k.isRefusal(err, exchange.ReasonUnknown); again != nil {
		t.Errorf("a turn of a family that was revoked: %q", again)
	}
}

func TestFamiliesRefuseWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	f, r := k.begin()
	now := time.Now().Truncate(time.Second)
	err := f.Begin(t.Context(), f.New(), exchange.Family{
		Origin: strings.Repeat("x", exchange.MaxRecord), IssuedAt: now, ExpiresAt: now.Add(time.Hour), Since: k.depositor.Since(),
		Handles: exchange.Handles{Client: "c", Family: "f", Subject: "s"},
	})
	if !errors.Is(err, exchange.ErrTooLarge) {
		t.Errorf("an origin over the cap: %v", err)
	}
	d := k.draft()
	_, err = f.Turn(t.Context(), exchange.Use{Token: r, Next: f.Next(r), Ask: []byte("a"), Answer: make([]byte, store.MaxAnswer)}, d.reference, d.deposit())
	if !errors.Is(err, exchange.ErrTooLarge) {
		t.Errorf("an answer over the cap: %v", err)
	}
}

// What was revoked since the issuer looked refuses a family, and a grant that is put by a turn.
func TestRevocationThatCrossesAFamilyWins(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	f, r := k.begin()
	now := time.Now().Truncate(time.Second)
	since := k.depositor.Since()
	h := exchange.Handles{Client: "other", Family: "other", Subject: "other"}
	k.revoke(store.KindSubject, "other")
	err := f.Begin(t.Context(), f.New(), exchange.Family{Origin: origin, IssuedAt: now, ExpiresAt: now.Add(time.Hour), Since: since, Handles: h})
	if !errors.Is(err, exchange.ErrRevoked) {
		t.Errorf("a family of a subject that was revoked meanwhile: %v", err)
	}
	err = f.Begin(t.Context(), f.New(), exchange.Family{Origin: origin, IssuedAt: now, ExpiresAt: now.Add(time.Hour), Handles: h})
	if !errors.Is(err, exchange.ErrUnavailable) {
		t.Errorf("a family begun before the log was read: %v", err)
	}
	d := k.draft()
	d.reference = f.Reference(r)
	d.manifest.JTI, d.manifest.Handles = d.reference.JTI(), h
	d.since = since
	_, err = f.Turn(t.Context(), exchange.Use{Token: r, Next: f.Next(r), Ask: []byte("a"), Answer: []byte("b")}, d.reference, d.deposit())
	if !errors.Is(err, exchange.ErrRevoked) {
		t.Errorf("a turn for a subject that was revoked meanwhile: %v", err)
	}
}

func TestRefreshTokensCannotBePrinted(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	f, r := k.begin()
	secrets := []string{r.Reveal(), r.Reveal()[5:26]}
	mustNotPrint(t, secrets, r, "[refresh token]")
	mustNotPrint(t, secrets, exchange.Use{Token: r, Next: f.Next(r)}, "")
	if _, err := r.MarshalText(); err == nil {
		t.Error("a refresh token can be marshalled")
	}
}

package exchange_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

// Whatever kind of revocation names a grant, it ends within a lease, cached or not; those that it does not name go on
// without one question to the store.
func TestEachKindOfRevocationEndsTheSwap(t *testing.T) {
	t.Parallel()
	for kind := range naming(exchange.Manifest{}) {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t, lease)
				d, raw := k.issue()
				_, coldRaw := k.issue()
				time.Sleep(time.Second)
				other := k.draft() // of another client, family and subject, by another key, a second later
				other.manifest.Handles = exchange.Handles{Client: "client2", Family: "family2", Subject: "subject2"}
				second := newSigner(t, "key-2")
				k.trust(second)
				other.sign = func(c map[string]any) string { return second.sign(t, exchange.ManifestType, c) }
				p := other.deposit()
				p.KeyID = second.id
				if err := k.depositor.Deposit(t.Context(), other.reference, p); err != nil {
					t.Fatal(err)
				}
				otherRaw := other.reference.Reveal()
				k.swap(raw, exchange.SourceMiss)
				k.swap(otherRaw, exchange.SourceMiss)

				name := naming(d.manifest)[kind]
				k.revoke(kind, name)
				k.swap(raw, exchange.SourceHit) // the revoker waits for this
				time.Sleep(lease)
				k.refused(raw, exchange.ReasonUnknown)
				if kind == store.KindToken { // the other grant of that client
					k.swap(coldRaw, exchange.SourceMiss)
				} else {
					k.refused(coldRaw, exchange.ReasonUnknown)
				}
				if kind == store.KindBefore { // of just now: everything that is there
					k.refused(otherRaw, exchange.ReasonUnknown)
				} else {
					k.swap(otherRaw, exchange.SourceHit)
				}
			})
		})
	}
}

// trust publishes one more key of the issuer.
func (k *kit) trust(s *signer) {
	key := k.keys.StaticKeys[k.signer.id]
	key.ID, key.Public = s.id, s.key.Public()
	k.keys.StaticKeys[s.id] = key
}

// A mint that began before a revocation puts what rests on the client, subject or key as they were: it is refused, and
// so is a mint into a family that has ended. One that began later knows.
func TestMintInFlightIsRefused(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		kind  store.Kind
		after bool // a mint that begins after it is good
	}{
		{store.KindToken, false},
		{store.KindFamily, false},
		{store.KindClient, true},
		{store.KindSubject, true},
		{store.KindBefore, true},
		{store.KindKey, false},
	} {
		t.Run(string(row.kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t, lease)
				d := k.draft()
				k.revoke(row.kind, naming(d.manifest)[row.kind])
				time.Sleep(lease) // the issuer has read of it by now; the mint rests on what it saw before
				err := k.depositor.Deposit(t.Context(), d.reference, d.deposit())
				if !errors.Is(err, exchange.ErrRevoked) || errors.Is(err, exchange.ErrUnavailable) {
					t.Errorf("deposit: %v, want revoked", err)
				}
				k.refused(d.reference.Reveal(), exchange.ReasonUnknown)

				time.Sleep(10 * time.Second)
				d2 := k.draft()
				if row.kind == store.KindToken {
					d2.reference, d2.manifest.JTI = d.reference, d.manifest.JTI
				}
				err = k.depositor.Deposit(t.Context(), d2.reference, d2.deposit())
				if row.after && err != nil || !row.after && !errors.Is(err, exchange.ErrRevoked) {
					t.Errorf("deposit of a mint that began later: %v, want that it is good: %v", err, row.after)
				}
			})
		})
	}
}

// Nothing is minted on what a process thinks that has not read the log yet, be anything revoked or not: a store that was
// emptied while it started would not know either.
func TestDepositOfAnIssuerThatHasNotRead(t *testing.T) {
	t.Parallel()
	k := newKit(t, lease)
	unread, err := revocation.NewFollower(revocation.FollowerConfig{Log: k.records}) // nobody runs it
	if err != nil {
		t.Fatal(err)
	}
	for name, since := range map[string]exchange.Since{
		"of no shard": {}, "of a shard not read": exchange.NewDepositor(k.stamper, k.records, unread).Since(),
	} {
		d := k.draft()
		d.since = since
		if err := k.depositor.Deposit(t.Context(), d.reference, d.deposit()); !errors.Is(err, exchange.ErrUnavailable) {
			t.Errorf("deposit since a moment %s: %v, want unavailable", name, err)
		}
		k.refused(d.reference.Reveal(), exchange.ReasonUnknown)
	}
}

// Who writes the store can lift a floor and put a record back; he cannot make an edge believe a revoked key again, be the
// key still published or not, and be the grant cached or not.
func TestRevokedKeyIsNotBelievedWhateverTheStoreSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		d, raw := k.issue()
		seen := k.pass(raw, exchange.Leased, exchange.SourceMiss)
		_, coldRaw := k.issue()
		blob := k.blob(d.manifest.JTI)
		cold, _ := k.stamper.Parse(coldRaw)
		k.put(cold.JTI(), k.blob(cold.JTI()))
		k.put(d.manifest.JTI, blob)

		k.revoke(store.KindKey, k.signer.id)
		time.Sleep(lease)
		k.undecided(seen, exchange.ReasonKeyRevoked)
		for range 2 {
			k.refused(raw, exchange.ReasonKeyRevoked)
			k.refused(coldRaw, exchange.ReasonKeyRevoked)
		}
		k.keys.down.Store(true) // nothing of the key set is needed to say so
		k.refused(coldRaw, exchange.ReasonKeyRevoked)
		k.keys.down.Store(false)
		delete(k.keys.StaticKeys, k.signer.id)
		k.refused(coldRaw, exchange.ReasonKeyRevoked)
	})
}

// The clear fields of a record are whatever the store says. An edge hears of its grant by the names that were signed.
func TestNamesAreThoseOfTheSignedManifest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		d := k.draft()
		k.plant(d) // no record at all, so no floor in the store ever ends it
		raw := d.reference.Reveal()
		k.swap(raw, exchange.SourceMiss)
		for kind, name := range naming(d.manifest) {
			if kind == store.KindKey {
				continue
			}
			k.swap(raw, exchange.SourceHit)
			k.revoke(kind, name)
			time.Sleep(lease)
			if source := k.sourceOf(raw); source != exchange.SourceMiss {
				t.Errorf("%s: source %q, want that the store is asked", kind, source)
			}
		}
		k.revoke(store.KindFamily, "anotherfamily")
		time.Sleep(lease)
		k.swap(raw, exchange.SourceHit)
	})
}

func (k *kit) sourceOf(raw string) exchange.Source {
	k.t.Helper()
	_, source, err := k.edge.Swap(k.t.Context(), raw, exchange.Leased)
	if err != nil {
		k.t.Fatal(err)
	}
	return source
}

package exchange_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
)

// What is known inside (the jti from a log, the JWT from a service) opens nothing outside.
func TestB9_InternalTokensAreRefusedAtTheEdge(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	d, raw := k.issue()
	k.swap(raw, exchange.SourceMiss)
	before := k.records.takes.Load()
	for name, presented := range map[string]string{
		"the jti of a live grant":      d.manifest.JTI,
		"a JWT of a live grant":        d.tokens["orders-api"].Reveal(),
		"the manifest of a live grant": d.deposit().Manifest,
		"jti dressed as a reference":   "cck_" + d.manifest.JTI + d.manifest.JTI + "0",
		"nothing":                      "",
	} {
		if source := k.refused(presented, exchange.ReasonMalformed); source != exchange.SourceNone {
			t.Errorf("%s: source %q, want none", name, source)
		}
	}
	if got := k.records.takes.Load(); got != before {
		t.Errorf("the store was asked %d times", got-before)
	}
}

// A flood of references that somebody made up costs the store nothing, however well their checksums are done.
func TestForgedReferencesNeverReachTheStore(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	forger := newStamper(t, randomKey())
	for range 10_000 {
		if source := k.refused(forger.New().Reveal(), exchange.ReasonForged); source != exchange.SourceNone {
			t.Fatalf("source %q, want none", source)
		}
	}
	if takes := k.records.takes.Load(); takes != 0 {
		t.Errorf("%d takes, want none", takes)
	}
}

func TestStaleReferencesNeverReachTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, hold)
		var old []string
		for range 1000 {
			old = append(old, k.depositor.Reference().Reveal())
		}
		time.Sleep(longest + 2*time.Minute)
		for _, raw := range old {
			if source := k.refused(raw, exchange.ReasonStale); source != exchange.SourceNone {
				t.Fatalf("source %q, want none", source)
			}
		}
		if takes := k.records.takes.Load(); takes != 0 {
			t.Errorf("%d takes, want none", takes)
		}
	})
}

// A writer of the store who owns one valid reference, and has even learned our stamp key: he can seal what he likes,
// and still cannot sign it. Each row bends one thing; the row that bends nothing shows that the others are refused
// for what they bend.
func TestWriterOfTheStoreForgesNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	mallory := newSigner(t, k.signer.id) // another key under our key id
	unknown := newSigner(t, "key-of-nobody")
	victim, _ := k.issue()

	for _, row := range []struct {
		name string
		bend func(*draft)
		want exchange.Reason
	}{
		{"nothing bent", func(*draft) {}, ""},
		{"manifest signed by another key", func(d *draft) {
			d.sign = func(c map[string]any) string { return mallory.sign(t, exchange.ManifestType, c) }
		}, exchange.ReasonTampered},
		{"manifest signed by a key that is not published", func(d *draft) {
			d.sign = func(c map[string]any) string { return unknown.sign(t, exchange.ManifestType, c) }
		}, exchange.ReasonTampered},
		{"scopes edited under the old signature", func(d *draft) {
			sign := d.sign
			d.sign = func(c map[string]any) string {
				genuine := strings.Split(sign(c), ".")
				d.manifest.Shares["orders-api"] = share(d.tokens["orders-api"], "orders:admin")
				edited := strings.Split(mallory.sign(t, exchange.ManifestType, d.manifest.Claims()), ".")
				return genuine[0] + "." + edited[1] + "." + genuine[2]
			}
		}, exchange.ReasonTampered},
		{"signature cut off", func(d *draft) {
			sign := d.sign
			d.sign = func(c map[string]any) string { m := sign(c); return m[:strings.LastIndex(m, ".")+1] }
		}, exchange.ReasonTampered},
		{"an access token in the place of the manifest", func(d *draft) {
			d.sign = func(c map[string]any) string { return k.signer.sign(t, "at+jwt", c) }
		}, exchange.ReasonTampered},
		{"manifest of another issuer under the same key", func(d *draft) { d.manifest.Issuer = "https://other.example.com" }, exchange.ReasonTampered},
		{"manifest for a service instead of the edge", func(d *draft) { k.claim(d, "aud", "orders-api") }, exchange.ReasonTampered},
		{"manifest of a later version", func(d *draft) { k.claim(d, "version", 2) }, exchange.ReasonTampered},
		{"manifest without a version", func(d *draft) { k.claim(d, "version", nil) }, exchange.ReasonTampered},
		{"manifest with a claim that version 1 does not have", func(d *draft) { k.claim(d, "only_on_sundays", true) }, exchange.ReasonTampered},
		{"manifest whose name differs in case", func(d *draft) { k.claim(d, "jti", nil); k.claim(d, "JTI", d.manifest.JTI) }, exchange.ReasonTampered},
		{"manifest with a null", func(d *draft) { k.claim(d, "iat", json.RawMessage("null")) }, exchange.ReasonTampered},
		{"manifest without its handles", func(d *draft) { k.claim(d, "handles", nil) }, exchange.ReasonTampered},
		{"manifest without the client's handle", func(d *draft) { d.manifest.Handles.Client = "" }, exchange.ReasonTampered},
		{"manifest without the family's handle", func(d *draft) { d.manifest.Handles.Family = "" }, exchange.ReasonTampered},
		{"manifest without the subject's handle", func(d *draft) { d.manifest.Handles.Subject = "" }, exchange.ReasonTampered},
		{"manifest without a client", func(d *draft) { d.manifest.ClientID = "" }, exchange.ReasonTampered},
		{"genuine manifest of another grant", func(d *draft) {
			d.manifest, d.tokens = victim.manifest, victim.tokens
		}, exchange.ReasonTampered},
		{"tokens under each other's audience", func(d *draft) {
			d.tokens["orders-api"], d.tokens["billing-api"] = d.tokens["billing-api"], d.tokens["orders-api"]
		}, exchange.ReasonTampered},
		{"one token replaced", func(d *draft) { d.tokens["orders-api"] = exchange.NewToken(fakeJWT("forged")) }, exchange.ReasonTampered},
		{"token of another grant", func(d *draft) { d.tokens["orders-api"] = victim.tokens["orders-api"] }, exchange.ReasonTampered},
		{"token added for an audience without share", func(d *draft) { d.tokens["admin-api"] = d.tokens["orders-api"] }, exchange.ReasonTampered},
		{"token without share in the place of one with", func(d *draft) {
			d.tokens["admin-api"] = d.tokens["orders-api"]
			delete(d.tokens, "orders-api")
		}, exchange.ReasonTampered},
		{"token taken out", func(d *draft) { delete(d.tokens, "billing-api") }, exchange.ReasonTampered},
		{"exp of the record stretched", func(d *draft) {
			sign := d.sign
			d.sign = func(c map[string]any) string {
				m := sign(c)
				d.manifest.ExpiresAt = d.manifest.ExpiresAt.Add(time.Hour)
				return m
			}
		}, exchange.ReasonTampered},
		{"manifest that has expired", func(d *draft) { d.manifest.ExpiresAt = d.manifest.IssuedAt }, exchange.ReasonExpired},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := k.draft()
			row.bend(d)
			k.plant(d)
			if row.want == "" {
				k.swap(d.reference.Reveal(), exchange.SourceMiss)
				return
			}
			k.refused(d.reference.Reveal(), row.want)
		})
	}
}

// claim replaces one claim of what will be signed; nil takes it out.
func (k *kit) claim(d *draft, name string, value any) {
	sign := d.sign
	d.sign = func(claims map[string]any) string {
		claims = maps.Clone(claims)
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
		return sign(claims)
	}
}

// plant seals a draft without the checks of Deposit, and puts it where the edge looks.
func (k *kit) plant(d *draft) {
	k.t.Helper()
	manifest := d.sign(d.manifest.Claims())
	blob, err := exchange.Seal(k.stamper, d.reference, manifest, d.tokens, d.manifest.ExpiresAt)
	if err != nil {
		k.t.Fatalf("seal: %v", err)
	}
	k.put(d.reference.JTI(), blob)
}

// put writes a blob under any key, as whoever can write the store does.
func (k *kit) put(jti string, blob []byte) { k.records.planted[jti] = blob }

func (k *kit) blob(jti string) []byte {
	k.t.Helper()
	taken, err := k.records.Memory.Take(context.Background(), jti)
	if err != nil {
		k.t.Fatal(err)
	}
	return taken.Blob
}

func TestRecordMovedToAnotherKeyDoesNotOpen(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	mine, raw := k.issue()
	victim, _ := k.issue()
	k.put(mine.manifest.JTI, k.blob(victim.manifest.JTI))
	k.refused(raw, exchange.ReasonTampered)
}

func TestRecordPutBackAfterItsExpiryIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, hold)
		d, raw := k.issue()
		old := k.blob(d.manifest.JTI)
		time.Sleep(life)
		k.put(d.manifest.JTI, old)
		k.refused(raw, exchange.ReasonExpired)

		// The same with the clear expiry of the blob moved on: it is bound to the ciphertext.
		later := bytes.Clone(old)
		later[5+6]++ // in steps of 256 seconds
		k.put(d.manifest.JTI, later)
		k.refused(raw, exchange.ReasonTampered)
	})
}

// A genuine record under a live reference is replaced while the edge has it cached: the change is seen when the store is
// asked next, and what was cached does not stand in for it.
func TestRecordReplacedUnderTheCacheIsSeenWhenTheStoreIsAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, lease)
		d, raw := k.issue()
		k.swap(raw, exchange.SourceMiss)
		genuine := k.blob(d.manifest.JTI)
		forged := bytes.Clone(genuine)
		forged[len(forged)-1] ^= 1
		k.put(d.manifest.JTI, forged)
		k.swap(raw, exchange.SourceHit)
		k.forget()
		for range 2 {
			k.refused(raw, exchange.ReasonTampered)
		}
		k.put(d.manifest.JTI, genuine)
		k.swap(raw, exchange.SourceMiss)

		other := k.draft() // sealed and signed as it should be, for the same reference and with fewer scopes
		other.reference, other.manifest.JTI = d.reference, d.manifest.JTI
		other.manifest.Shares["orders-api"] = share(other.tokens["orders-api"], "orders:read")
		k.plant(other)
		k.forget()
		if s, _ := k.swap(raw, exchange.SourceMiss).Share("orders-api"); s.Allows([]string{"orders:write"}) {
			t.Error("the cached grant stands in for another record")
		}
	})
}

// A reader of the store who owns a reference knows everything that goes into the seal key but the pepper.
func TestOwnerOfAReferenceOpensNothingWithoutThePepper(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	d, _ := k.issue()
	blob := k.blob(d.manifest.JTI)
	if err := exchange.Open(k.stamper, d.reference, blob); err != nil {
		t.Fatalf("our own stamper does not open it: %v", err)
	}
	reader := newStamper(t, randomKey())
	if err := exchange.Open(reader, d.reference, blob); err == nil {
		t.Error("a stamper with another key opens the record")
	}
	// And the reverse: a blob sealed under his own pepper, with the id of our key written over his.
	own, err := exchange.Seal(reader, d.reference, d.deposit().Manifest, d.tokens, d.manifest.ExpiresAt)
	if err != nil {
		t.Fatal(err)
	}
	k.put(d.manifest.JTI, own)
	k.refused(d.reference.Reveal(), exchange.ReasonTampered)
	copy(own[1:5], blob[1:5])
	k.put(d.manifest.JTI, own)
	k.refused(d.reference.Reveal(), exchange.ReasonTampered)
}

func TestGarbageInTheStoreIsTamperedAndNeverCached(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	d, raw := k.issue()
	genuine := k.blob(d.manifest.JTI)
	garbage := make([]byte, 1024)
	rand.Read(garbage)
	version2 := bytes.Clone(genuine)
	version2[0] = 2
	for name, blob := range map[string][]byte{
		"random bytes":  garbage,
		"one byte":      {1},
		"cut short":     genuine[:len(genuine)-1],
		"only a header": genuine[:25],
		"version 2":     version2,
		"one bit more":  append(bytes.Clone(genuine), 0),
	} {
		k.put(d.manifest.JTI, blob)
		if source := k.refused(raw, exchange.ReasonTampered); source != exchange.SourceMiss {
			t.Errorf("%s: source %q, want miss", name, source)
		}
	}
	k.records.take = func(context.Context, string) (store.Taken, error) { return store.Taken{}, store.ErrCorrupt }
	k.refused(raw, exchange.ReasonTampered)
	k.records.take = nil
	k.put(d.manifest.JTI, genuine)
	k.swap(raw, exchange.SourceMiss)
}

func TestStampKeysRotateInTwoSteps(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	_, old := k.issue()
	next := randomKey()

	edge := func(keys ...[]byte) *exchange.Exchange {
		return k.newEdge(func(c *exchange.Config) { c.Stamper = newStamper(t, keys...) })
	}
	depositor := exchange.NewDepositor(newStamper(t, next, k.stampKey), k.records, k.follower)
	d := k.draft()
	d.reference = depositor.Reference()
	d.manifest.JTI = d.reference.JTI()
	if err := depositor.Deposit(t.Context(), d.reference, d.deposit()); err != nil {
		t.Fatal(err)
	}

	for _, row := range []struct {
		name string
		edge *exchange.Exchange
		raw  string
		want exchange.Reason
	}{
		{"old reference, next key accepted", edge(k.stampKey, next), old, ""},
		{"new reference, next key accepted", edge(k.stampKey, next), d.reference.Reveal(), ""},
		{"old reference, next key used", edge(next, k.stampKey), old, ""},
		{"new reference, next key used", edge(next, k.stampKey), d.reference.Reveal(), ""},
		{"old reference, old key gone", edge(next), old, exchange.ReasonForged},
		{"new reference, next key not yet there", edge(k.stampKey), d.reference.Reveal(), exchange.ReasonForged},
	} {
		_, _, err := row.edge.Swap(t.Context(), row.raw, exchange.Leased)
		var r *exchange.Refusal
		if row.want == "" && err != nil || row.want != "" && (!errors.As(err, &r) || r.Reason != row.want) {
			t.Errorf("%s: %v, want reason %q", row.name, err, row.want)
		}
	}
}

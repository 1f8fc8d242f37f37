package storetest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// inAll is the quota of which one shard's part is q; the tests of quotas keep to shard 0.
func inAll(s Store, q store.Quota) store.Quota {
	n := int64(s.Shards())
	return store.Quota{Grants: q.Grants * n, Bytes: q.Bytes * n}
}

func quotaByNumber(t *testing.T, s Store) {
	q := inAll(s, store.Quota{Grants: 3})
	for range 3 {
		must(t, s.Put(t.Context(), recordIn(s, 0), q))
	}
	refused := recordIn(s, 0)
	wantErr(t, "put 4 of 3", s.Put(t.Context(), refused, q), store.ErrQuota)
	_, err := s.Take(t.Context(), refused.JTI)
	wantErr(t, "take of what quota refused", err, store.ErrNotFound)
	// What is counted does not depend on the bound of the day.
	must(t, s.Put(t.Context(), recordIn(s, 0), inAll(s, store.Quota{Grants: 4})))
	must(t, s.Put(t.Context(), recordIn(s, 0), store.Quota{}))
	wantErr(t, "put 6 of 5", s.Put(t.Context(), recordIn(s, 0), inAll(s, store.Quota{Grants: 5})), store.ErrQuota)
}

func quotaBelowNothing(t *testing.T, s Store) {
	for _, q := range []store.Quota{{Grants: -1}, {Bytes: -1}} {
		wantErr(t, "put into a negative quota", s.Put(t.Context(), recordIn(s, 0), q), store.ErrQuota)
	}
}

func quotaByBytes(t *testing.T, s Store) {
	of := func(size int) store.Record {
		r := recordIn(s, 0)
		r.Blob = bytes.Repeat([]byte{'x'}, size)
		return r
	}
	q := inAll(s, store.Quota{Bytes: 1000})
	must(t, s.Put(t.Context(), of(600), q))
	wantErr(t, "600 + 401 bytes of 1000", s.Put(t.Context(), of(401), q), store.ErrQuota)
	must(t, s.Put(t.Context(), of(400), q))
	wantErr(t, "1000 + 1 bytes of 1000", s.Put(t.Context(), of(1), q), store.ErrQuota)
}

func quotaPerClient(t *testing.T, s Store) {
	q := inAll(s, store.Quota{Grants: 1})
	must(t, s.Put(t.Context(), recordIn(s, 0), q))
	wantErr(t, "second of the first client", s.Put(t.Context(), recordIn(s, 0), q), store.ErrQuota)
	other := recordIn(s, 0)
	other.Client = "another-client"
	must(t, s.Put(t.Context(), other, q))
}

func quotaAfterExpiry(t *testing.T, s Store) {
	q := inAll(s, store.Quota{Grants: 1})
	short := recordIn(s, 0)
	short.ExpiresAt = short.IssuedAt.Add(2 * time.Second)
	must(t, s.Put(t.Context(), short, q))
	Eventually(t, expiryLimit, "the expired grant to be given back", func() bool {
		err := s.Put(t.Context(), recordIn(s, 0), q)
		if err != nil && !errors.Is(err, store.ErrQuota) {
			t.Fatal(err)
		}
		if err == nil && time.Now().Before(short.ExpiresAt.Add(-50*time.Millisecond)) {
			t.Fatal("quota came back before the grant had expired")
		}
		return err == nil
	})
}

// quotaOfMixedLives puts grants of lives from seconds to years, so that they fall into many buckets, and revokes all
// of them.
func quotaOfMixedLives(t *testing.T, s Store) {
	var records []store.Record
	for life := time.Minute; life < 10*365*24*time.Hour; life = life * 3 / 2 {
		r := recordIn(s, 0)
		r.ExpiresAt = r.IssuedAt.Add(life.Truncate(time.Second))
		records = append(records, r)
	}
	q := inAll(s, store.Quota{Grants: int64(len(records))})
	for _, r := range records {
		must(t, s.Put(t.Context(), r, q))
	}
	wantErr(t, "one more", s.Put(t.Context(), recordIn(s, 0), q), store.ErrQuota)
	for _, r := range records {
		if !Revoke(t, s, r.JTI) {
			t.Errorf("revoke of a life of %v: found no record", r.ExpiresAt.Sub(r.IssuedAt))
		}
	}
	wantErr(t, "one more after all were revoked", s.Put(t.Context(), recordIn(s, 0), q), store.ErrQuota)
}

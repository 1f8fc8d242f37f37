package storetest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// expiryLimit is how long the suite waits for something to expire that lives two seconds.
const expiryLimit = 15 * time.Second

func takeReturnsWhatWasPut(t *testing.T, s Store) {
	r := NewRecord()
	must(t, s.Put(t.Context(), r, store.Quota{}))
	got, err := s.Take(t.Context(), r.JTI)
	must(t, err)
	if !bytes.Equal(got.Blob, r.Blob) {
		t.Errorf("blob: got %q, want %q", got.Blob, r.Blob)
	}
	if got.Seq == 0 || got.Incarnation == "" || got.Shard != s.ShardOf(r.JTI) || got.Lease != Lease {
		t.Errorf("got seq %d of incarnation %q, shard %d, lease %v; want a position in shard %d, and %v",
			got.Seq, got.Incarnation, got.Shard, got.Lease, s.ShardOf(r.JTI), Lease)
	}
}

func unknownIsNotFound(t *testing.T, s Store) {
	_, err := s.Take(t.Context(), NewRecord().JTI)
	wantErr(t, "take from an empty store", err, store.ErrNotFound)
	must(t, s.Put(t.Context(), NewRecord(), store.Quota{}))
	_, err = s.Take(t.Context(), NewRecord().JTI)
	wantErr(t, "take another jti", err, store.ErrNotFound)
}

func bytesAreCopies(t *testing.T, s Store) {
	r := NewRecord()
	want := bytes.Clone(r.Blob)
	must(t, s.Put(t.Context(), r, store.Quota{}))
	clear(r.Blob)
	for range 2 {
		got, err := s.Take(t.Context(), r.JTI)
		must(t, err)
		if !bytes.Equal(got.Blob, want) {
			t.Errorf("blob: got %q, want %q", got.Blob, want)
		}
		clear(got.Blob)
	}
}

func duplicateIsRefused(t *testing.T, s Store) {
	first := NewRecord()
	must(t, s.Put(t.Context(), first, store.Quota{}))
	second := first
	second.Blob = []byte("another")
	wantErr(t, "second put", s.Put(t.Context(), second, store.Quota{}), store.ErrExists)
	got, err := s.Take(t.Context(), first.JTI)
	must(t, err)
	if !bytes.Equal(got.Blob, first.Blob) {
		t.Errorf("blob after a refused duplicate: got %q, want %q", got.Blob, first.Blob)
	}
}

func recordExpires(t *testing.T, s Store) {
	r := NewRecord()
	r.ExpiresAt = r.IssuedAt.Add(2 * time.Second)
	must(t, s.Put(t.Context(), r, store.Quota{}))
	if _, err := s.Take(t.Context(), r.JTI); err != nil && time.Now().Before(r.ExpiresAt) {
		t.Errorf("take before expiry: %v", err)
	}
	Eventually(t, expiryLimit, "the record to expire", func() bool {
		_, err := s.Take(t.Context(), r.JTI)
		if err != nil && time.Now().Before(r.ExpiresAt.Add(-50*time.Millisecond)) {
			t.Fatalf("take before expiry: %v", err)
		}
		return errors.Is(err, store.ErrNotFound)
	})
}

func expiredIsNotPut(t *testing.T, s Store) {
	r := NewRecord()
	r.IssuedAt, r.ExpiresAt = r.IssuedAt.Add(-time.Hour), r.IssuedAt.Add(-time.Second)
	wantRefused(t, "put of an expired record", s.Put(t.Context(), r, store.Quota{}))
	r.IssuedAt, r.ExpiresAt = r.ExpiresAt, r.IssuedAt
	wantRefused(t, "put of a record that expires before its issue", s.Put(t.Context(), r, store.Quota{}))
}

func largeBlobs(t *testing.T, s Store) {
	r := NewRecord()
	r.Blob = bytes.Repeat([]byte{0xfe}, store.MaxBlob)
	must(t, s.Put(t.Context(), r, store.Quota{}))
	got, err := s.Take(t.Context(), r.JTI)
	must(t, err)
	if !bytes.Equal(got.Blob, r.Blob) {
		t.Errorf("blob of %d bytes came back as %d others", len(r.Blob), len(got.Blob))
	}
	r = NewRecord()
	r.Blob = make([]byte, store.MaxBlob+1)
	wantRefused(t, "put of one byte more", s.Put(t.Context(), r, store.Quota{}))
	r.Blob = nil
	wantRefused(t, "put of no blob", s.Put(t.Context(), r, store.Quota{}))
	_, err = s.Take(t.Context(), r.JTI)
	wantErr(t, "take of a refused record", err, store.ErrNotFound)
}

func incarnations(t *testing.T, stores ...Store) {
	seen := map[string]bool{}
	for _, s := range stores {
		r := NewRecord()
		must(t, s.Put(t.Context(), r, store.Quota{}))
		got, err := s.Take(t.Context(), r.JTI)
		must(t, err)
		if seen[got.Incarnation] {
			t.Errorf("incarnation %q twice", got.Incarnation)
		}
		seen[got.Incarnation] = true
	}
}

func cancelled(t *testing.T, s Store) {
	r := NewRecord()
	must(t, s.Put(t.Context(), r, store.Quota{}))
	must(t, s.Enrol(t.Context(), s.ShardOf(r.JTI), author, ""))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, takeErr := s.Take(ctx, r.JTI)
	_, revokeErr := s.Revoke(ctx, s.ShardOf(r.JTI), author, "", []store.Numbered{{Number: 1, Revocation: naming(store.KindToken, r.JTI)}}, 0)
	_, _, stateErr := s.State(ctx, "cancelled")
	for what, err := range map[string]error{
		"take": takeErr, "revoke": revokeErr, "state": stateErr,
		"put":        s.Put(ctx, NewRecord(), store.Quota{}),
		"swap state": s.SwapState(ctx, "cancelled", 0, []byte("x")),
		"check":      s.Check(ctx),
	} {
		wantErr(t, what, err, store.ErrUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled in it", what, err)
		}
	}
	if _, err := s.Take(t.Context(), r.JTI); err != nil {
		t.Errorf("take after a cancelled revocation: %v", err)
	}
	if version, _, err := s.State(t.Context(), "cancelled"); version != 0 || err != nil {
		t.Errorf("state after a cancelled swap: got version %d, %v, want 0", version, err)
	}
}

func errorsHoldNoValues(t *testing.T, s Store) {
	r := NewRecord()
	r.Blob = []byte("CANARY-blob")
	must(t, s.Put(t.Context(), r, store.Quota{}))
	hostile := NewRecord()
	hostile.Client = "CANARY client"
	huge := NewRecord()
	huge.Blob = bytes.Repeat([]byte("CANARY"), store.MaxBlob)
	other := recordIn(s, s.ShardOf(r.JTI))
	other.Blob = r.Blob
	for what, err := range map[string]error{
		"duplicate": s.Put(t.Context(), r, store.Quota{}),
		"hostile":   s.Put(t.Context(), hostile, store.Quota{}),
		"huge":      s.Put(t.Context(), huge, store.Quota{}),
		"quota":     s.Put(t.Context(), other, store.Quota{Grants: 1}),
		"conflict":  s.SwapState(t.Context(), "state", 7, []byte("CANARY-state")),
	} {
		if err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: got %v, want an error without the value", what, err)
		}
	}
}

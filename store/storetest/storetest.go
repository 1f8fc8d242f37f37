// Package storetest is the contract of package store as a suite, and the real redis-server that it runs on.
//
// A backend proves itself in a few lines:
//
//	func TestMine(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Store { return mine.New(t.TempDir()) })
//	}
//
// The suite runs in real time, because a real Redis does; its longest test waits for an expiry of two seconds.
// Anything else that needs Redis as a process (other rooms' tests, the harness) uses StartRedis.
package storetest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// Store is the whole contract. Consumers declare the part of it that they need; only the suite needs all.
type Store = store.Backend

// Corrupter is what a Store also has when values can be changed behind its back; without it, the suite does not ask
// how damage is read.
type Corrupter interface {
	// Corrupt sets one field of a stored record, or removes it if value is empty.
	Corrupt(t *testing.T, jti, field, value string)
}

// Run runs the suite. Each call of open returns an empty store that nobody else uses; the suite opens its shards, and
// closes it.
func Run(t *testing.T, open func(t *testing.T) Store) {
	tests := map[string]func(*testing.T, Store){
		"a record comes back as it was put":                 takeReturnsWhatWasPut,
		"what was never put is not found":                   unknownIsNotFound,
		"returned bytes are the caller's own":               bytesAreCopies,
		"a duplicate is refused and changes nothing":        duplicateIsRefused,
		"of concurrent puts of one jti exactly one wins":    onePutWins,
		"a record is gone at its expiry":                    recordExpires,
		"what has expired already is not put":               expiredIsNotPut,
		"a blob of the cap fits and one byte more does not": largeBlobs,
		"two stores have two incarnations":                  func(t *testing.T, s Store) { incarnations(t, s, opened(t, open)) },
		"a cancelled context does nothing":                  cancelled,
		"hostile names never reach the store":               hostileNames,
		"errors hold no values":                             errorsHoldNoValues,
		"damage is corrupt, never not found":                damage,
		"quota by number":                                   quotaByNumber,
		"a negative quota lets nothing in":                  quotaBelowNothing,
		"quota by bytes":                                    quotaByBytes,
		"quota is each client's own":                        quotaPerClient,
		"quota comes back by expiry":                        quotaAfterExpiry,
		"quota of grants of many lives":                     quotaOfMixedLives,
		"state starts at version 0 and counts up":           stateCountsUp,
		"state of an old version is not written":            stateConflicts,
		"of concurrent swaps each version is won once":      stateRaces,
		"state of the cap fits and one byte more does not":  largeState,
		"the store itself may be trusted":                   func(t *testing.T, s Store) { must(t, s.Check(t.Context())) },
	}
	maps.Copy(tests, onceTests())
	maps.Copy(tests, registerTests())
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, opened(t, open))
		})
	}
	for _, tests := range []map[string]func(*testing.T, *hand){logTests(), turnTests()} {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := opened(t, open)
				test(t, newHand(t, s))
			})
		}
	}
}

func opened(t *testing.T, open func(t *testing.T) Store) Store {
	t.Helper()
	s := open(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	Open(t, s)
	return s
}

// NewRecord is a record that Put accepts, with a random jti, living an hour.
func NewRecord() store.Record {
	id := make([]byte, 16)
	rand.Read(id) // never fails
	now := time.Now().Truncate(time.Second)
	return store.Record{
		JTI:       hex.EncodeToString(id),
		Blob:      []byte("sealed blob, \x00 and \r\n and \xff included"),
		IssuedAt:  now,
		ExpiresAt: now.Add(time.Hour),
		KeyID:     "kid-NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		Client:    "client-AAAAAAAAAAAAAAA",
		Family:    "family-BBBBBBBBBBBBBBB",
		Subject:   "subject-CCCCCCCCCCCCCC",
	}
}

// recordIn is a NewRecord of one shard.
func recordIn(s Store, shard int) store.Record {
	for {
		if r := NewRecord(); s.ShardOf(r.JTI) == shard {
			return r
		}
	}
}

// must ends the test at an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr compares by errors.Is, and makes sure that err is no other of the contract's errors as well; ErrClosed comes
// with ErrUnavailable.
func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
	for _, other := range sentinels() {
		if other != want && errors.Is(err, other) && (want != store.ErrClosed || other != store.ErrUnavailable) {
			t.Errorf("%s: error %v is also %q", what, err, other)
		}
	}
}

func sentinels() []error {
	return []error{
		store.ErrNotFound, store.ErrExists, store.ErrQuota, store.ErrConflict, store.ErrCorrupt, store.ErrUnavailable, store.ErrRevoked, store.ErrClosed,
		store.ErrReplayed,
	}
}

// Eventually polls until ok, which is asked at once and then every few milliseconds, or fails the test after limit.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		<-poll.C
	}
}

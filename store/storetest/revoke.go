package storetest

import (
	"context"
	"testing"

	"github.com/coatcheck/coatcheck/store"
)

// author is the issuer that Open votes for, with the journal of these tests.
var author = store.Author{Issuer: Issuer, Journal: "journal-1"}

// Revoker is what Revoke needs of a store.
type Revoker interface {
	ShardOf(jti string) int
	Shard(ctx context.Context, shard int, issuer string) (store.Shard, error)
	Enrol(ctx context.Context, shard int, by store.Author, insteadOf string) error
	Revoke(ctx context.Context, shard int, by store.Author, fence string, batch []store.Numbered, replicas int) (store.Revoked, error)
}

// Revoke revokes one token in an open store, as the next entry of the journal "journal-1" of Issuer, which it enrols; and
// tells whether a record was there.
func Revoke(t testing.TB, s Revoker, jti string) (found bool) {
	t.Helper()
	shard := s.ShardOf(jti)
	if err := s.Enrol(t.Context(), shard, author, ""); err != nil {
		t.Fatal(err)
	}
	now, err := s.Shard(t.Context(), shard, author.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	next := store.Numbered{Number: now.Done + 1, Revocation: naming(store.KindToken, jti)}
	got, err := s.Revoke(t.Context(), shard, author, "", []store.Numbered{next}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return got.Found[0]
}

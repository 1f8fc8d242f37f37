package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
)

// Put writes a new record. ErrExists, ErrQuota, ErrCorrupt (the client's quota) or ErrUnavailable; it is never
// retried inside. After ErrUnavailable the record may be there; nobody has its reference, and it expires.
func (r *Redis) Put(ctx context.Context, rec Record, q Quota) error {
	if err := ready(ctx, rec.check()); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	keys := []string{r.keys.record(rec.JTI), r.keys.head(), r.keys.quota(rec.Client)}
	_, err := r.ask(ctx, putScript, keys, rec.JTI,
		string(rec.Blob), // a copy: the caller may wipe its own while an abandoned command is still being sent
		rec.IssuedAt.Unix(), rec.ExpiresAt.Unix(), rec.KeyID, rec.Client, rec.Family, rec.Subject,
		q.Grants, q.Bytes, rand.Text())
	return err
}

// Take reads a record, in one round trip that writes nothing. ErrNotFound, ErrCorrupt or ErrUnavailable.
func (r *Redis) Take(ctx context.Context, jti string) (Taken, error) {
	if err := ready(ctx, checkName("jti", jti)); err != nil {
		return Taken{}, fmt.Errorf("take: %w", err)
	}
	values, err := r.ask(ctx, takeScript, []string{r.keys.record(jti), r.keys.head()}, jti, MaxBlob)
	if err != nil {
		return Taken{}, err
	}
	seq, err := strconv.ParseUint(values[1], 10, 64)
	if err != nil {
		return Taken{}, fmt.Errorf("take: %w: %w", ErrUnavailable, errHead)
	}
	return Taken{Blob: []byte(values[0]), Seq: seq, Incarnation: values[2]}, nil
}

// Delete removes a record, advances the shard's seq, and reports whether the record was there.
// ErrUnavailable: it may be gone (of a damaged head it is, but nobody was told); deleting once more is safe.
func (r *Redis) Delete(ctx context.Context, jti string) (bool, error) {
	if err := ready(ctx, checkName("jti", jti)); err != nil {
		return false, fmt.Errorf("delete: %w", err)
	}
	keys := []string{r.keys.record(jti), r.keys.head()}
	_, err := r.ask(ctx, deleteScript, keys, jti, r.keys.quota(""), rand.Text())
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

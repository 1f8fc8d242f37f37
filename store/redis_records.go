package store

import (
	"context"
	"fmt"
	"strconv"
)

// home is the shard of a jti.
func (r *Redis) home(jti string) layout { return r.shards[r.ShardOf(jti)] }

// Put writes a new record. ErrExists, ErrRevoked, ErrQuota, ErrCorrupt (the client's quota) or ErrUnavailable (with
// ErrClosed); it is never retried inside. After ErrUnavailable the record may be there; nobody has its reference, and it expires.
func (r *Redis) Put(ctx context.Context, rec Record, q Quota) error {
	if err := ready(ctx, rec.check()); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	k := r.home(rec.JTI)
	keys := []string{k.record(rec.JTI), k.head(), k.floors(), k.tomb(rec.JTI), k.quota(rec.Client)}
	_, err := r.ask(ctx, putScript, keys, rec.JTI, rec.args(q.share(len(r.shards)))...)
	return err
}

// args are those of lua/admit.lua, but for the jti.
func (r Record) args(q Quota) []any {
	return []any{
		string(r.Blob), // a copy: the caller may wipe its own while an abandoned command is still being sent
		r.IssuedAt.Unix(), r.ExpiresAt.Unix(), r.KeyID, r.Client, r.Family, r.Subject,
		strconv.FormatUint(r.Since.Seq, 10), r.Since.Incarnation, q.Grants, q.Bytes, r.First,
	}
}

// Take reads a record, in one round trip that writes nothing. ErrNotFound, also if it is revoked; ErrCorrupt; ErrUnavailable
// (with ErrClosed).
func (r *Redis) Take(ctx context.Context, jti string) (Taken, error) {
	if err := ready(ctx, checkName("jti", jti)); err != nil {
		return Taken{}, fmt.Errorf("take: %w", err)
	}
	k := r.home(jti)
	values, err := r.ask(ctx, takeScript, []string{k.record(jti), k.head(), k.floors()}, jti, MaxBlob)
	if err != nil {
		return Taken{}, err
	}
	taken, err := readTaken(values, r.ShardOf(jti))
	if err != nil {
		return Taken{}, fmt.Errorf("take: %w", err)
	}
	return taken, nil
}

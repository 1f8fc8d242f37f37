package exchange

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// FamilyRecords is what Families need of the store, beside a RecordWriter.
type FamilyRecords interface {
	// Take reads a record; store.ErrNotFound, or any other error (cannot tell). Bounded by ctx, safe for concurrent use.
	Take(ctx context.Context, jti string) (store.Taken, error)
	// Turn puts r and goes on to the family's next token, or does neither; again is the answer of an earlier turn. Errors are
	// store.ErrNotFound, store.ErrReplayed, those of Put, and any other (cannot tell). Bounded by ctx, safe for concurrent use.
	Turn(ctx context.Context, t store.Turn, r store.Record, q store.Quota) (again []byte, err error)
}

// Families is the issuer's half of refresh tokens. A family is one record, whose size never changes: what the first token was
// issued for, sealed under the part that all its tokens share; and where it stands, which only the store knows. It ends with
// its record: when it expires, or when somebody revokes it by any of its names.
type Families struct {
	refresher
	depositor *Depositor
	records   FamilyRecords
}

// NewFamilies returns the families of what d deposits. Both are required, and speak to one store.
func NewFamilies(d *Depositor, r FamilyRecords) *Families {
	return &Families{newRefresher(d.stamper), d, r}
}

// Family is what is kept for all tokens of a family.
type Family struct {
	Origin    string // what the issuer must know again; up to some 30 KiB
	IssuedAt  time.Time
	ExpiresAt time.Time // at most MaxRefresh later; no token of the family outlives it
	Handles   Handles   // the same as of everything else in the family
	Since     Since     // as of a Deposit
	MaxGrants int64     // of this client; 0: default 10,000. A family counts as one
	MaxBytes  int64     // of this client; 0: default 40 MiB
}

// New makes the first token of a new family; its JTI may go into the origin before that is stored.
func (f *Families) New() Refresh { return f.first() }

// Begin stores the family of a first token. ErrQuota, ErrRevoked, ErrTooLarge or ErrUnavailable; after an error the token is
// worthless.
func (f *Families) Begin(ctx context.Context, r Refresh, p Family) error {
	jti := r.JTI()
	since, err := f.depositor.since(p.Since, jti)
	if err != nil {
		return err
	}
	blob, err := f.seal(r, jti, p.Origin, p.ExpiresAt)
	if err != nil {
		return fmt.Errorf("%w: deposit %s", err, jti)
	}
	err = f.depositor.records.Put(ctx, store.Record{
		JTI:       jti,
		Blob:      blob,
		IssuedAt:  p.IssuedAt,
		ExpiresAt: p.ExpiresAt,
		KeyID:     store.NoKey,
		Client:    p.Handles.Client,
		Family:    p.Handles.Family,
		Subject:   p.Handles.Subject,
		Since:     since,
		First:     r.mark(),
	}, quotaOf(p.MaxGrants, p.MaxBytes))
	return refused(jti, err)
}

// seal writes the blob of a family: the origin behind its length in four bytes, and zeros up to a size class.
func (f *Families) seal(r Refresh, jti, origin string, expires time.Time) ([]byte, error) {
	size := sizeClass(lengthHeader + len(origin) + sealCost)
	if size > MaxRecord {
		return nil, ErrTooLarge
	}
	plain := make([]byte, size-sealCost)
	defer clear(plain)
	binary.BigEndian.PutUint32(plain, uint32(len(origin)))
	copy(plain[lengthHeader:], origin)
	return f.sealed(r.sealKey, jti, plain, expires, freshNonce()), nil
}

// Parse recognises a presented refresh token, of whatever age in its family. *Refusal with ReasonMalformed, ReasonForged or
// ReasonStale.
func (f *Families) Parse(raw string) (Refresh, error) { return f.parse(raw, time.Now()) }

// Look reads the origin of a token's family, and when the family ends. It says nothing of whether the token may still be used.
// *Refusal: ReasonUnknown (expired or revoked), ReasonTampered, ReasonClosed or ReasonUnavailable.
func (f *Families) Look(ctx context.Context, r Refresh) (origin string, expires time.Time, err error) {
	jti := r.JTI()
	taken, err := f.records.Take(ctx, jti)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", time.Time{}, refuse(ReasonUnknown, nil)
	case errors.Is(err, store.ErrClosed):
		return "", time.Time{}, refuse(ReasonClosed, err)
	case err != nil:
		return "", time.Time{}, refuse(ReasonUnavailable, err)
	}
	plain, expires, err := f.opened(r.sealKey, jti, taken.Blob)
	if err != nil {
		return "", time.Time{}, refuse(ReasonTampered, err)
	}
	defer clear(plain)
	fields := reader{rest: plain}
	origin = string(fields.take(fields.uint(lengthHeader)))
	if fields.bad {
		return "", time.Time{}, refuse(ReasonTampered, errContents)
	}
	return origin, expires, nil
}

// Reference makes a reference whose grant can be put by a turn of r's family: in the family's shard.
func (f *Families) Reference(r Refresh) Reference {
	home := f.depositor.records.ShardOf(r.JTI())
	for {
		// As many tries as there are shards, on the average: some microseconds each.
		if ref := f.depositor.Reference(); f.depositor.records.ShardOf(ref.JTI()) == home {
			return ref
		}
	}
}

// Next makes the token that follows r. It is worth nothing until a turn has taken it.
func (f *Families) Next(r Refresh) Refresh { return f.after(r) }

// Use is one use of a refresh token.
type Use struct {
	Token  Refresh // that was presented
	Next   Refresh // by Families.Next
	Ask    []byte  // what was asked for: the same bytes for the same request
	Answer []byte  // what is going to be answered; at most some 8 KB
}

// Turn deposits a grant whose reference is by Families.Reference, and goes on to the next token, in one step: a crash, an error
// and a lost race leave nothing behind that lives. Where it is too late for that, but the same token was used for the same
// request within the last 10 s and its successor was not, again is the answer of that time.
//
// That answer is in the store sealed under a key that only this very token makes, together with a pepper of ours: neither who
// reads the store nor who holds a later token opens it.
//
// Errors: ErrReplayed; ErrInactive (the family has ended meanwhile); those of Deposit. After ErrUnavailable it may have
// happened: then the same request gets its answer.
func (f *Families) Turn(ctx context.Context, u Use, r Reference, p Deposit) (again []byte, err error) {
	family := u.Token.JTI()
	record, quota, err := f.depositor.record(r, p)
	if err != nil {
		return nil, err
	}
	sealed := f.sealed(u.Token.answerKey, family, u.Answer, p.ExpiresAt, freshNonce())
	if len(sealed) > store.MaxAnswer {
		return nil, fmt.Errorf("%w: answer of %d bytes", ErrTooLarge, len(u.Answer))
	}
	kept, err := f.records.Turn(ctx, store.Turn{
		Family: family, Presented: u.Token.mark(), Next: u.Next.mark(), Request: u.Token.request(u.Ask), Answer: sealed,
	}, record, quota)
	switch {
	case errors.Is(err, store.ErrReplayed):
		return nil, fmt.Errorf("%w: family %s", ErrReplayed, family)
	case errors.Is(err, store.ErrNotFound):
		return nil, refuse(ReasonUnknown, nil)
	case err != nil || kept == nil:
		return nil, refused(record.JTI, err)
	}
	again, _, err = f.opened(u.Token.answerKey, family, kept)
	if err != nil {
		return nil, fmt.Errorf("%w: answer of family %s: %w", ErrUnavailable, family, err)
	}
	return again, nil
}

package exchange

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

// What one client may hold at a time, unless its Deposit says otherwise.
const (
	defaultMaxGrants = 10_000
	defaultMaxBytes  = 40 << 20
)

// RecordWriter is what a Depositor needs of the store.
type RecordWriter interface {
	// Put writes a new record or fails with store.ErrExists, store.ErrQuota or any other error (unavailable).
	// It blocks for a bounded time, ends early with ctx, and is safe for concurrent use.
	Put(ctx context.Context, r store.Record, q store.Quota) error
}

// Deposit is everything the issuer hands over for one reference.
type Deposit struct {
	Manifest  string           // signed
	Tokens    map[string]Token // by audience: exactly the shares of the manifest
	IssuedAt  time.Time
	ExpiresAt time.Time // the manifest's exp
	KeyID     string
	Handles   Handles
	// Since is what Depositor.Since gave before anything was looked at that this grant rests on.
	Since     Since
	MaxGrants int64 // of this client; 0: default 10,000
	MaxBytes  int64 // of this client; 0: default 40 MiB
}

// Depositor is the issuer's half: it makes references, seals what they stand for and stores it.
type Depositor struct {
	stamper *Stamper
	records RecordWriter
}

// NewDepositor returns a Depositor that stamps and seals with the first key of s.
func NewDepositor(s *Stamper, w RecordWriter, log *revocation.Follower) *Depositor {
	return &Depositor{stamper: s, records: w}
}

// Since is a moment in the revocation log, of all shards: what was revoked after it refuses the deposit.
type Since struct{}

// Since is the moment up to which this process has read the log. It does not block.
func (d *Depositor) Since() Since { panic("contract") }

// Reference makes the next reference; its JTI goes into the JWTs before they are deposited.
func (d *Depositor) Reference() Reference { return d.stamper.New() }

// Deposit seals and stores. ErrQuota, ErrTooLarge or ErrUnavailable; after an error the reference is worthless.
// A record that already exists is ErrUnavailable: with 256 random bits it is a bug or an attack, never a retry.
func (d *Depositor) Deposit(ctx context.Context, r Reference, p Deposit) error {
	jti := r.JTI()
	if err := p.check(jti); err != nil {
		return fmt.Errorf("%w: deposit %s: %w", ErrUnavailable, jti, err)
	}
	blob, err := d.stamper.seal(r, jti, contents{p.Manifest, p.Tokens}, p.ExpiresAt)
	if err != nil {
		return fmt.Errorf("%w: deposit %s", err, jti)
	}
	err = d.records.Put(ctx, store.Record{
		JTI:       jti,
		Blob:      blob,
		IssuedAt:  p.IssuedAt,
		ExpiresAt: p.ExpiresAt,
		KeyID:     p.KeyID,
		Client:    p.Handles.Client,
		Family:    p.Handles.Family,
		Subject:   p.Handles.Subject,
	}, store.Quota{Grants: orDefault(p.MaxGrants, defaultMaxGrants), Bytes: orDefault(p.MaxBytes, defaultMaxBytes)})
	switch {
	case errors.Is(err, store.ErrQuota):
		return fmt.Errorf("%w: deposit %s", ErrQuota, jti)
	case err != nil:
		return fmt.Errorf("%w: deposit %s: %w", ErrUnavailable, jti, err)
	}
	return nil
}

// check holds the issuer to what every edge will ask of this record, all but the signature: a reference that can only
// ever be refused must not go out.
func (p Deposit) check(jti string) error {
	parts := strings.Split(p.Manifest, ".")
	if len(parts) != 3 {
		return errors.New("manifest is not a signed JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return errors.New("manifest is not base64url")
	}
	m, err := readManifest(payload)
	if err != nil {
		return err
	}
	return m.holdsFor(jti, p.Tokens, p.ExpiresAt)
}

func orDefault(n, otherwise int64) int64 {
	if n == 0 {
		return otherwise
	}
	return n
}

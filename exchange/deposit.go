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
	// Put writes a new record or fails with store.ErrExists, store.ErrQuota, store.ErrRevoked or any other error
	// (unavailable). It blocks for a bounded time, ends early with ctx, and is safe for concurrent use.
	Put(ctx context.Context, r store.Record, q store.Quota) error
	// Shards is how many there are, and ShardOf that of a jti, from 0 up; both are fixed.
	Shards() int
	ShardOf(jti string) int
}

// errUnread: what was revoked before this process began to read, it may never learn, nor may a store that was emptied
// meanwhile.
var errUnread = errors.New("this process had not read the revocation log yet when it began")

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
	log     *revocation.Follower
}

// NewDepositor returns a Depositor that stamps and seals with the first key of s, and knows from log what has been
// revoked. All three are required.
func NewDepositor(s *Stamper, w RecordWriter, log *revocation.Follower) *Depositor {
	return &Depositor{stamper: s, records: w, log: log}
}

// Since is a moment in the revocation log, of all shards: what was revoked after it refuses the deposit. A shard that had
// not been read takes no deposit (ErrUnavailable).
//
// A mint and a revocation that cross:
//
//  1. the issuer asks for Since, at seq 7, and finds the client in order
//  2. the client is revoked, at seq 8: every record that is there ends
//  3. the record is put, and refused: a floor at 8 is after 7
//
// Had it been put, it would have been born after 8, and lived. If 2 comes before 1, the issuer has read of it.
type Since struct{ shards []store.Since }

// Since is the moment up to which this process has read the log. It does not block.
func (d *Depositor) Since() Since {
	s := Since{make([]store.Since, d.records.Shards())}
	for i := range s.shards {
		s.shards[i] = d.log.Since(i)
	}
	return s
}

// of is the moment in one shard; the zero one if that shard had not been read.
func (s Since) of(shard int) store.Since {
	if shard >= len(s.shards) {
		return store.Since{}
	}
	return s.shards[shard]
}

// Reference makes the next reference; its JTI goes into the JWTs before they are deposited.
func (d *Depositor) Reference() Reference { return d.stamper.New() }

// Deposit seals and stores. ErrQuota, ErrRevoked, ErrTooLarge or ErrUnavailable; after an error the reference is worthless.
// A record that already exists is ErrUnavailable: with 256 random bits it is a bug or an attack, never a retry.
func (d *Depositor) Deposit(ctx context.Context, r Reference, p Deposit) error {
	record, quota, err := d.record(r, p)
	if err != nil {
		return err
	}
	return refused(record.JTI, d.records.Put(ctx, record, quota))
}

// record is what is put for a reference.
func (d *Depositor) record(r Reference, p Deposit) (store.Record, store.Quota, error) {
	jti := r.JTI()
	if err := p.check(jti); err != nil {
		return store.Record{}, store.Quota{}, fmt.Errorf("%w: deposit %s: %w", ErrUnavailable, jti, err)
	}
	blob, err := d.stamper.seal(r, jti, contents{p.Manifest, p.Tokens}, p.ExpiresAt)
	if err != nil {
		return store.Record{}, store.Quota{}, fmt.Errorf("%w: deposit %s", err, jti)
	}
	since, err := d.since(p.Since, jti)
	return store.Record{
		JTI:       jti,
		Blob:      blob,
		IssuedAt:  p.IssuedAt,
		ExpiresAt: p.ExpiresAt,
		KeyID:     p.KeyID,
		Client:    p.Handles.Client,
		Family:    p.Handles.Family,
		Subject:   p.Handles.Subject,
		Since:     since,
	}, quotaOf(p.MaxGrants, p.MaxBytes), err
}

// since is the moment in the shard of a jti, which must have been read by then.
func (d *Depositor) since(s Since, jti string) (store.Since, error) {
	since := s.of(d.records.ShardOf(jti))
	if since.Incarnation == "" {
		return since, fmt.Errorf("%w: deposit %s: %w", ErrUnavailable, jti, errUnread)
	}
	return since, nil
}

// refused is what the store has against a deposit.
func refused(jti string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrQuota):
		return fmt.Errorf("%w: deposit %s", ErrQuota, jti)
	case errors.Is(err, store.ErrRevoked):
		return fmt.Errorf("%w: deposit %s", ErrRevoked, jti)
	}
	return fmt.Errorf("%w: deposit %s: %w", ErrUnavailable, jti, err)
}

// check holds the issuer to what every edge will ask of this record, all but the signature: a reference that can only
// ever be refused must not go out. And the store must call the grant what edges, which read the manifest, will call it:
// a revocation speaks to both.
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
	if m.Handles != p.Handles {
		return errors.New("manifest: its handles are not those of the deposit")
	}
	return m.holdsFor(jti, p.Tokens, p.ExpiresAt)
}

func quotaOf(grants, bytes int64) store.Quota {
	return store.Quota{Grants: orDefault(grants, defaultMaxGrants), Bytes: orDefault(bytes, defaultMaxBytes)}
}

func orDefault(n, otherwise int64) int64 {
	if n == 0 {
		return otherwise
	}
	return n
}

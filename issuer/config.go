package issuer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/envelope"
	"github.com/coatcheck/coatcheck/issuer/keyring"
	"github.com/coatcheck/coatcheck/issuer/sealing"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Config configures an Issuer.
type Config struct {
	// Issuer is the exact `iss` of every token and of the metadata, whatever Host a request names. Required; an
	// http or https URL without query or fragment. Changing it ends every token that services hold.
	Issuer string
	// Algorithm signs tokens: ES256 (default), EdDSA, RS256 or PS256. Another one than before is a rotation: the next key
	// is one for it, and old keys stay published until their last token has died.
	Algorithm string
	// RotateEvery is the working life of a signing key. 0: never rotated; else one hour or more, so that a next
	// key has always been published long before it signs.
	RotateEvery time.Duration
	// Signers has the signing keys, where they live outside. Nil: they are generated, and live in the sealed key ring.
	Signers keyring.SignerSource
	// Sealing keys protect the key ring in the store. Required. The first seals, all open.
	Sealing *sealing.Keys
	// State holds the sealed key ring; all issuers of one system share it. Required.
	State StateStore
	// RingFile is where this issuer keeps its own sealed copy of the newest key ring, so that after a restart too it
	// refuses an older one; one file for each issuer, in a folder that it may write. Empty: it remembers nothing.
	RingFile string
	// ClientStore keeps the clients that are added at run time, sealed; all issuers of one system share it. Nil: there are
	// only those of Clients. ClientsFile is where this issuer keeps how far it has followed them, so that after a restart
	// too it refuses an older register; a file of its own, in a folder that it may write. Empty: it remembers nothing.
	ClientStore clients.Store
	ClientsFile string
	// Depositor makes references and stores what they stand for. Required.
	Depositor *exchange.Depositor
	// Families keep refresh tokens, in the same store. Nil: there are none.
	Families *exchange.Families
	// Revoker, Grants and Listing serve /oauth2/revoke and the admin API. Required.
	Revoker Revoker
	Grants  Grants
	Listing Listing
	// TTL is the life of references and their JWTs, whole seconds. Default 10 minutes. It must not exceed the
	// longest life that the stamper was told, or edges refuse references that are still alive.
	TTL time.Duration
	// Audiences by name: the services that accept our JWTs.
	Audiences map[string]Audience
	// Clients by id: who may ask.
	Clients map[string]clients.Client
	// Trusted are other issuers by alias: those whose word is taken for who somebody is.
	Trusted map[string]Trusted
	// Names remembers which client assertions were used; all issuers of one system share it. Nil: clients cannot have keys.
	Names Names
	// AddressRate is how many requests a second each address (a /64 of IPv6) may make on all paths, AddressBurst how many at
	// once; ClientRate and ClientBurst are those of each client that has said who it is. 0: no limit. Each of this process' own.
	AddressRate, ClientRate   float64
	AddressBurst, ClientBurst int
	// Address is where a request comes from; not valid: nobody knows, and it is not limited by address. Nil: the other end of
	// its connection.
	Address func(*http.Request) netip.Addr
	// RevokeRate is how many revocations a second each client may ask for, RevokeBurst how many at once; default 20 and
	// 100. Each of this process' own.
	RevokeRate  float64
	RevokeBurst int
	// Internal: introspection is served by Issuer.Internal alone; Handler and the metadata know nothing of it.
	Internal bool
	// Caller names who sent a request to one of Operations, for the log. Nil: nobody is named.
	Caller func(*http.Request) string
	// Auditor is told of what was issued, refused and revoked; nil: the log alone is.
	Auditor Auditor
	// AuditRequired: nothing is issued, and no revocation acknowledged, that the Auditor has not written down. Without it
	// both go on when it cannot write, and it counts what it has lost.
	AuditRequired bool
	Logger        *slog.Logger         // nil: discards
	Meter         metric.MeterProvider // nil: none. coatcheck_tokens_issued_total and coatcheck_revocation_requests_total{client,outcome}
	Tracer        trace.TracerProvider // nil: none. One span per request, with attributes only when it is sampled
}

// Audience is a service that accepts our JWTs.
type Audience struct {
	Scopes   map[string]string // scope → description; a scope belongs to one audience
	Resource string            // RFC 8707 URI that also names it; optional
	// Claims are the names of the claims beside ours that the service may see; its JWTs carry no others. Nil: those that are
	// configured for the client, and none of those that another issuer says of a subject. Not nil: exactly these, of both.
	Claims []string
	// Envelope encrypts the JWTs to the service. Nil: they are signed alone.
	Envelope *envelope.Recipient
}

// StateStore keeps the sealed key ring, with compare-and-swap. Both stores of package store are one. It is an
// interface because issuers and tests bring different stores; every method is bounded by ctx and safe for
// concurrent use.
type StateStore interface {
	// State reads a piece of state; version 0 and no blob when it was never written.
	State(ctx context.Context, name string) (version uint64, blob []byte, err error)
	// SwapState writes version old+1 if the version is still old, else fails and writes nothing. After any error
	// the caller does not know what is there and has to read it again.
	SwapState(ctx context.Context, name string, old uint64, blob []byte) error
}

// depositor is what the token endpoint needs of exchange.Depositor. It is an interface because a test must be able
// to show a store that is full, away or slow, or a revocation, at the exact moment of the deposit.
type depositor interface {
	// Since is how far this process has read the revocation log; it does not block.
	Since() exchange.Since
	// Reference makes a new reference; it does not block.
	Reference() exchange.Reference
	// Deposit stores a grant or fails with exchange.ErrRevoked, ErrQuota, ErrTooLarge or ErrUnavailable. Bounded by ctx.
	Deposit(ctx context.Context, r exchange.Reference, p exchange.Deposit) error
}

const (
	// leastRotation keeps RotateEvery well above the time for which a next key is published before it signs: a ring that turned faster would never settle.
	leastRotation = time.Hour
)

// check says what is missing or out of range, all of it at once. What clients and audiences must be is said by
// newRegister.
func (c Config) check() error {
	var faults []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("issuer: "+format, args...))
		}
	}
	require(c.Sealing != nil, "sealing keys are required: without them the key ring cannot be stored")
	require(c.State != nil, "a state store is required: it keeps the key ring")
	require(c.Depositor != nil, "a depositor is required: it stores what references stand for")
	require(c.Revoker != nil && c.Grants != nil && c.Listing != nil,
		"a revoker, grants and a listing are required: without them nothing could be revoked")
	require(c.RevokeRate > 0 && c.RevokeBurst > 0, "revoke rate %v and burst %d must be above 0", c.RevokeRate, c.RevokeBurst)
	if err := keyring.CheckAlgorithm(c.Algorithm); err != nil {
		faults = append(faults, err)
	}
	require(c.RotateEvery == 0 || c.RotateEvery >= leastRotation,
		"keys cannot rotate every %v: use 0 (never) or %v and more", c.RotateEvery, leastRotation)
	require(wholeSeconds(c.TTL), "ttl %v is not a positive number of whole seconds", c.TTL)
	return errors.Join(faults...)
}

func wholeSeconds(d time.Duration) bool {
	return d > 0 && d%time.Second == 0
}

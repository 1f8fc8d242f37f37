// Package issuer is the authorization server: it authenticates clients, decides what each may have, mints one
// JWT per audience, hands them to package exchange to be sealed, and gives the client nothing but a reference.
//
// # What it promises
//
//   - The token endpoint speaks RFC 6749 to the letter: one answer shape, one table of errors (errors.go), no
//     redirect ever, every answer no-store. Parameters are read from the body and from nowhere else.
//   - A client gets at most what the configuration gives it. Asking for more is an error, never a smaller token.
//   - A JWT is for one audience, a single string, with that audience's share of the scopes (RFC 9068). What a
//     client's configured claims may be called is checked at start, so that they never stand in for ours.
//   - The reference, its JWTs, its record and its manifest expire in the same second, and expires_in never
//     promises more than that.
//   - An unknown client and a wrong secret cannot be told apart, by body or by the work that is done.
//   - A revocation speaks RFC 7009 to the letter, and a 200 means that no edge accepts the token any more. Whatever
//     cannot be told or is not yet in force is a 503; a dead token, an unknown one and a forged one get the same answer
//     after the same time (revoke.go).
//   - Signing keys live in the store only sealed, come into use only when every verifier can know them, and leave only
//     when nothing that they signed is alive. A running issuer never takes an older key ring or another one than its
//     own; a store that has lost the ring gets the same one back (package keyring).
//   - No secret, reference or JWT is ever logged. What the log names are clients, audiences, scopes and the jti.
//
// While there is no key ring, or the store is away, the token endpoint answers 503 with Retry-After; the process
// stays up and recovers by itself.
package issuer

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/keyring"
	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/verifier"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// Issuer is the authorization server. Build it with New, start it with Run, serve its Handler.
type Issuer struct {
	place     place
	register  *register
	clients   *authenticator
	keeper    *keyring.Keeper
	depositor depositor
	families  *exchange.Families // nil: no refresh tokens
	granters  map[string]granter
	documents map[string]func() *document // by path
	logger    *slog.Logger
	tracer    trace.Tracer
	tokens    endpoint // /oauth2/token

	revocations endpoint // /oauth2/revoke
	revoker     Revoker
	grants      Grants
	listing     Listing
	endings     endings   // what it has revoked
	measures    *measures // of what clients may revoke
	caller      func(*http.Request) string
	address     func(*http.Request) netip.Addr
	limits      limits
	trail       *trail
	sealing     *sealing.Keys

	introspections endpoint // /oauth2/introspect
	internal       bool     // it is served by Internal alone
}

// New validates the configuration and says everything that is wrong with it; it touches no dependency.
func New(c Config) (*Issuer, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	at, err := parsePlace(c.Issuer)
	if err != nil {
		return nil, err
	}
	meter := c.Meter.Meter("github.com/coatcheck/coatcheck/issuer")
	tokens, err := newEndpoint(meter, "coatcheck_tokens_issued", "Answers of the token endpoint by client and outcome.",
		"coatcheck.issue", "token refused", auditIssue)
	if err != nil {
		return nil, err
	}
	revocations, err := newEndpoint(meter, "coatcheck_revocation_requests", "Answers of the revocation endpoint by client and outcome.",
		"coatcheck.revoke", "revocation refused", auditRevoke)
	if err != nil {
		return nil, err
	}
	introspections, err := newEndpoint(meter, "coatcheck_introspections", "Answers of the introspection endpoint by client and outcome.",
		"coatcheck.introspect", "introspection refused", auditIntrospect)
	if err != nil {
		return nil, err
	}
	i := &Issuer{
		place:     at,
		depositor: c.Depositor,
		families:  c.Families,
		logger:    c.Logger,
		tracer:    c.Tracer.Tracer("github.com/coatcheck/coatcheck/issuer"),
		tokens:    tokens,

		revocations: revocations,
		revoker:     c.Revoker,
		grants:      c.Grants,
		listing:     c.Listing,
		measures:    newMeasures(c.RevokeRate, c.RevokeBurst),
		caller:      c.Caller,
		address:     c.Address,
		trail:       &trail{Auditor: c.Auditor, required: c.AuditRequired},
		sealing:     c.Sealing,

		introspections: introspections,
		internal:       c.Internal,
	}
	if i.limits, err = newLimits(c, meter); err != nil {
		return nil, err
	}
	i.granters = i.newGranters()
	if i.register, err = newRegister(c, slices.Sorted(maps.Keys(i.granters))); err != nil {
		return nil, err
	}
	if c.ClientStore != nil {
		i.register.clients.Configure(clients.Config{Store: c.ClientStore, Sealing: c.Sealing, File: c.ClientsFile, Logger: c.Logger})
	}
	i.clients = newAuthenticator(i.register.clients, assertions{c.Issuer, c.Names}, c.Sealing)
	i.keeper = newKeeper(c, i.register.longest)
	about := newMetadata(at, i.register, i.clients, c)
	i.documents = map[string]func() *document{
		at.metadataPath(): func() *document { return about },
		at.openidPath():   func() *document { return about },
		at.jwksPath():     i.keySet,
	}
	return i, nil
}

func newKeeper(c Config, life time.Duration) *keyring.Keeper {
	return keyring.New(keyring.Config{
		State: c.State, Sealing: c.Sealing, File: c.RingFile, Life: life, RotateEvery: c.RotateEvery, Logger: c.Logger,
		Algorithm: c.Algorithm, Signers: c.Signers,
	})
}

// withDefaults fills in what a zero value of a field means.
func (c Config) withDefaults() Config {
	if c.Algorithm == "" {
		c.Algorithm = keyring.ES256
	}
	if c.TTL == 0 {
		c.TTL = 10 * time.Minute
	}
	if c.RevokeRate == 0 {
		c.RevokeRate = 20
	}
	if c.RevokeBurst == 0 {
		c.RevokeBurst = 100
	}
	if c.Address == nil {
		c.Address = peerOf
	}
	if c.Caller == nil {
		c.Caller = func(*http.Request) string { return "" }
	}
	if c.Auditor == nil {
		c.Auditor = noAuditor{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Meter == nil {
		c.Meter = metricnoop.NewMeterProvider()
	}
	if c.Tracer == nil {
		c.Tracer = tracenoop.NewTracerProvider()
	}
	return c
}

// Run loads or creates the key ring, then follows and rotates it until ctx ends, and beside it follows the clients that come
// and go; then it returns nil. A store that
// is away is waited for, with back-off. While there is no ring the token endpoint answers 503.
func (i *Issuer) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { i.register.clients.Run(ctx) })
	return i.keeper.Run(ctx)
}

// Ready says why the issuer cannot mint now; nil when it can.
func (i *Issuer) Ready() error {
	if _, err := i.keeper.Current(); err != nil {
		return err
	}
	return i.register.clients.Sure()
}

// KeyTrouble is what is wrong with the keys that live outside while those of before are in use; empty: nothing.
func (i *Issuer) KeyTrouble() string { return i.keeper.Trouble() }

// Keys is the published key set as a KeySource, for an edge in the same process.
func (i *Issuer) Keys() verifier.KeySource { return i.keeper }

// Handler serves /oauth2/token, /oauth2/revoke, /oauth2/introspect unless Config.Internal keeps that apart, the JWKS and the
// metadata at the paths that the issuer URL implies. Time-outs, TLS and the cap on header bytes are the server's that it is
// put in; body, parameters and waits are bounded here.
func (i *Issuer) Handler() http.Handler { return i.door(i.route) }

// Internal serves /oauth2/introspect and nothing else, for a listener that only services reach.
func (i *Issuer) Internal() http.Handler { return i.door(i.routeInternal) }

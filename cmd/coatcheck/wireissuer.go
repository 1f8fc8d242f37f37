package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"

	"github.com/coatcheck/coatcheck/admin"
	"github.com/coatcheck/coatcheck/audit"
	"github.com/coatcheck/coatcheck/configs"
	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/issuer"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/verifier"
)

// revokeCache is the memory for grants that an issuer looks at when somebody revokes one; few, and seldom twice.
const revokeCache = 1 << 20

// wireIssuer builds the issuer and returns its published keys, for an edge in the same process.
func (p *process) wireIssuer(l *configs.Loaded) (verifier.KeySource, error) {
	revoker, err := p.wireRevoker(l)
	if err != nil {
		return nil, err
	}
	own := &ownKeys{}
	grants, err := exchange.New(exchange.Config{
		Issuer: l.Issuer.Issuer, Stamper: l.Stamper, Records: p.store, Keys: own, CacheBytes: revokeCache,
		Origins: true, Log: p.follower, Logger: p.log,
	})
	if err != nil {
		return nil, err
	}
	c := *l.Issuer // a copy: what was loaded stays as it was loaded
	c.State, c.ClientStore, c.Names = p.store, p.store, p.store
	c.Depositor = exchange.NewDepositor(l.Stamper, p.store, p.follower)
	c.Families = exchange.NewFamilies(c.Depositor, p.store)
	c.Revoker, c.Grants, c.Listing = revoker, grants, p.store
	c.Caller = admin.Caller
	c.Address = func(r *http.Request) netip.Addr { return gateway.AddressOf(r, l.Trusted) }
	if err := p.openAudit(l); err != nil {
		return nil, err
	}
	if p.audit != nil {
		c.Auditor = p.audit
	}
	c.Logger, c.Meter, c.Tracer = p.log, p.tel.meter, p.tel.issuer
	i, err := issuer.New(c)
	if err != nil {
		return nil, err
	}
	own.KeySource = i.Keys()
	p.issuer = i.Handler()
	if l.Listen.Internal != "" {
		p.internal = i.Internal()
	}
	p.need("issuer", i.Ready)
	p.ready.notes = append(p.ready.notes, func() unready {
		if why := i.KeyTrouble(); why != "" {
			return unready{"keys.signing_key_files", "not taken, the keys of before stay: " + why}
		}
		return unready{}
	})
	p.do(i.Run)
	return i.Keys(), p.wireAdmin(l, i)
}

// openAudit opens the audit log, if there is to be one, before anything happens that it would have to say.
func (p *process) openAudit(l *configs.Loaded) (err error) {
	if l.Audit == nil {
		return nil
	}
	c := *l.Audit
	c.Redact, c.Logger, c.Meter = redact, p.log, p.tel.meter
	if p.audit, err = audit.Open(c); err != nil {
		return explainFile("audit.file", c.Path, err)
	}
	if l.Issuer.AuditRequired {
		p.need("audit", p.audit.Ready)
	}
	p.ready.audit = p.audit.Head
	p.do(p.audit.Run)
	return nil
}

// ownKeys are the issuer's own keys, for what has to be there before the issuer is. They are set before anything runs.
type ownKeys struct{ verifier.KeySource }

// wireRevoker opens the journal first: an issuer that cannot write down what it is asked to revoke must not start, or
// somebody would find out when it counts.
func (p *process) wireRevoker(l *configs.Loaded) (*revocation.Revoker, error) {
	p.journal = revocation.NewVolatileJournal()
	if l.Journal != "" {
		var err error
		if p.journal, err = revocation.OpenJournal(l.Journal); err != nil {
			return nil, explainFile("revocation.journal", l.Journal, err)
		}
	}
	c := *l.Revoker
	c.Shards, c.Journal = p.store, p.journal
	c.Life = l.Issuer.TTL
	for _, client := range l.Issuer.Clients {
		c.Life = max(c.Life, client.TTL, client.RefreshTTL)
	}
	c.Logger, c.Meter = p.log, p.tel.meter
	r, err := revocation.NewRevoker(c)
	if err != nil {
		return nil, err
	}
	p.need("revocation", r.Ready)
	p.do(r.Run)
	return r, nil
}

// wireAdmin puts the issuer's operations behind the tokens of the operators.
func (p *process) wireAdmin(l *configs.Loaded, i *issuer.Issuer) (err error) {
	if l.Listen.Admin == "" {
		return nil
	}
	c := admin.Config{Logger: p.log, Known: settle}
	if p.audit != nil {
		c.Auditor = p.audit
	}
	for _, t := range l.AdminTokens {
		token := admin.Token{Name: t.Name, SHA256: t.SHA256}
		for _, s := range t.Scopes {
			token.Scopes = append(token.Scopes, admin.Scope(s))
		}
		c.Tokens = append(c.Tokens, token)
	}
	for _, o := range i.Operations() {
		c.Routes = append(c.Routes, admin.Route{Method: o.Method, Path: o.Path, Scope: admin.Scope(o.Scope), Handle: o.Handle})
	}
	p.admin, err = admin.New(c)
	return err
}

// explainFile: the path is the configuration's (78), what the system does not permit is its owner's (77), and the rest
// is a disk that cannot be had: full, damaged, or held by another issuer (69).
func explainFile(key, path string, err error) error {
	code := exitUnavailable
	switch {
	case errors.Is(err, fs.ErrPermission):
		code = exitNotPermitted
	case errors.Is(err, fs.ErrNotExist):
		code = exitConfig
	}
	return &exitError{code, fmt.Errorf("open %s %s: %w", key, path, err)}
}

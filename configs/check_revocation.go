package configs

import (
	"regexp"
	"slices"
	"time"
)

const (
	leastLease   = 50 * time.Millisecond // four pulls of it must have time to come and go
	maxLease     = 30 * time.Second      // every revocation waits for so long
	leastMissing = time.Second
	maxMissing   = time.Hour       // so long all of the system refuses to revoke, when an issuer is gone for good
	maxGrace     = 5 * time.Minute // so long a revoked stream may go on at an edge that is cut off
	maxReplicas  = 5
)

// defaultIssuers is the list of a system that has one issuer.
var defaultIssuers = []string{"issuer-1"}

var issuerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (b *builder) checkRevocation() {
	r := b.file.Revocation
	if path := []any{"revocation", "lease"}; r.Lease != nil && b.set(path...) && (time.Duration(*r.Lease) < leastLease || time.Duration(*r.Lease) > maxLease) {
		b.faultAt(path, "must be 50ms to 30s, such as 500ms; each revocation waits for so long, and an edge that cannot read the log in that time asks the store for each request")
	}
	if path := []any{"revocation", "missing_after"}; b.set(path...) && time.Duration(r.MissingAfter) < leastMissing {
		b.faultAt(path, "must be at least 1s, such as 30s; in less an issuer that is only slow counts as missing, and all grants end")
	}
	if path := []any{"revocation", "missing_after"}; b.set(path...) && time.Duration(r.MissingAfter) > maxMissing {
		b.faultAt(path, "must be at most 1h, such as 30s; so long a restarted store stays closed, and nothing works, when an issuer does not come back")
	}
	b.checkWait(r.StreamGrace, "revocation", "stream_grace")
	if path := []any{"revocation", "stream_grace"}; b.set(path...) && time.Duration(r.StreamGrace) > maxGrace {
		b.faultAt(path, "must be at most 5m, such as 5s; so long a revoked stream may go on at an edge that is cut off from the store")
	}
	b.checkReplicas(r.Replicas)
	b.checkJournal()
	b.checkIssuers(r)
}

func (b *builder) checkReplicas(n int) {
	path := []any{"revocation", "replicas"}
	switch {
	case !b.set(path...):
	case n < 0 || n > maxReplicas:
		b.faultAt(path, "must be 0 to %d; 0 means that the journal alone makes a revocation durable", maxReplicas)
	case n > 0 && b.file.Store.memory:
		b.faultAt(path, "a store in memory has no replicas, so that no revocation would ever be acknowledged; remove it")
	}
}

func (b *builder) checkIssuers(r RevocationSection) {
	list := []any{"revocation", "issuers"}
	if b.set(list...) && len(r.Issuers) == 0 {
		b.faultAt(list, "is empty, so that a restarted store would wait for nobody; leave it out for [issuer-1]")
	}
	for i, name := range r.Issuers {
		at, ok := b.placed("revocation", "issuers", i)
		switch {
		case !ok:
		case !issuerName.MatchString(name):
			b.doc.fault(at.node, "%s: %q cannot name an issuer: use 1 to 64 of A-Z, a-z, 0-9, - and _", at.label, at.shown)
		case slices.Index(r.Issuers, name) < i:
			b.doc.fault(at.node, "%s: %q stands twice; two issuers under one name would each think that the other's journal is lost", at.label, at.shown)
		}
	}
	if at, ok := b.placed("revocation", "name"); ok && !slices.Contains(b.issuers(), r.Name) {
		b.doc.fault(at.node, "%s: %q is not in revocation.issuers, so that nobody would wait for its journal%s", at.label, at.shown, didYouMean(r.Name, b.issuers()))
	}
	if len(r.Issuers) > 1 && b.role.issuer() {
		b.need("there are several issuers; say which of them this one is (COATCHECK_REVOCATION_NAME, when they share the file)", "revocation", "name")
	}
}

// issuers is the static list of all issuers.
func (b *builder) issuers() []string {
	if len(b.file.Revocation.Issuers) == 0 {
		return defaultIssuers
	}
	return b.file.Revocation.Issuers
}

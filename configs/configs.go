// Package configs turns one YAML file, the environment and secret files into the rooms' own Config values. It is the
// only package that knows YAML, and the only one that opens secret files.
//
// Load promises:
//
//   - Strict. Unknown and duplicate keys, wrong types, second documents, anchors and tags are faults. A key that this
//     version does not enforce is refused by name.
//   - Whole. Every fault of a file is found in one run, and each is one line `file:line:column: what` with its mend.
//     Only what makes the tree unreadable (broken YAML, another version) ends the search early.
//   - Frugal. A process opens only the secret files that its role uses: stamp keys, the password of Redis and the
//     listener's key for both halves, the key-encryption keys, client secrets and admin tokens for issuers alone.
//   - Silent about secrets. No fault, warning or printed value contains what a secret file or a placeholder brought in.
//
// # Where values come from
//
// A value in the file may contain placeholders: ${env:NAME}, ${env:NAME:-default} (also when NAME is empty),
// ${file:path} (one trailing newline is cut); $${ is a literal ${. What they bring in is not expanded again. They fill
// values, never keys.
//
// A scalar key outside of lists and of named entries can also be set by a variable: COATCHECK_ and its path in
// capitals, so COATCHECK_LISTEN_GATEWAY sets listen.gateway. The variable wins. UnknownVariables finds misspelt ones.
//
// Relative paths are relative to the YAML file.
//
// # Secrets
//
// Secrets stand in files of their own (`…_file`), or come in as ${env:NAME}; one written into the YAML is refused.
// A secret file is regular, at most 1 MiB, and closed to everyone but its owner and, for reading, its group. Key files
// hold one standard base64 key of 32 bytes a line; the first is used, all are accepted, so a rotation is two edits.
package configs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"reflect"
	"slices"

	"github.com/coatcheck/coatcheck/audit"
	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/issuer"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
)

// Role says which half of the system a process is.
type Role string

// The roles. RoleAll is both halves in one process.
const (
	RoleAll     Role = "all"
	RoleGateway Role = "gateway"
	RoleIssuer  Role = "issuer"
)

func (r Role) gateway() bool { return r != RoleIssuer }
func (r Role) issuer() bool  { return r != RoleGateway }

// Listen says where each listener binds; an empty address: not opened. Admin may be the path of a unix socket.
type Listen struct{ Gateway, Issuer, Internal, Metrics, Admin string }

// StoreChoice is memory, or a Redis.
type StoreChoice struct {
	Memory bool
	Redis  store.RedisConfig
}

// Telemetry says what a process tells about itself.
type Telemetry struct {
	LogJSON      bool
	LogLevel     string // debug, info, warn, error
	Prometheus   bool
	OTLPEndpoint string  // empty: no traces leave
	Sample       float64 // 0 to 1
}

// Loaded holds the rooms' own Config values. What only a running process has (stores, loggers, meters,
// the swapper, the depositor) is left nil for the door to fill in. A room that the role does not run is nil.
type Loaded struct {
	Role     Role
	Listen   Listen
	TLS      *tls.Config    // of the gateway and issuer listeners; nil: plain HTTP. Of the admin listener beyond loopback
	Trusted  []netip.Prefix // listen.trusted_proxies: peers that stand for many clients
	Store    StoreChoice
	Gateway  *gateway.Config    // Table, Upstreams, limits
	Exchange *exchange.Config   // Issuer, Stamper, CacheBytes
	Keys     verifier.KeySource // jwks_file; nil: fetch per JWKS (or, with role all, the issuer in this process)
	JWKS     verifier.JWKSConfig
	Issuer   *issuer.Config // everything but State, Depositor, Revoker, Grants, Listing, Logger, Meter, Tracer
	// Follower is for every role, since an issuer follows the log too: StreamGrace.
	Follower revocation.FollowerConfig
	// Revoker: everything but Shards and Journal, which is the path of the latter; empty: it is kept in memory.
	Revoker     *revocation.RevokerConfig
	Journal     string
	AdminTokens []AdminToken // none without an issuer
	// Audit: everything but Redact, Logger and Meter; nil: there is no audit log. AuditKeys made its macs, and make them: the
	// first does now.
	Audit     *audit.Config
	AuditKeys []audit.Key
	Stamper   *exchange.Stamper // for issuer and edge
	KeyFiles  []*KeyFile        // that may change while the process runs
	Telemetry Telemetry
	Warnings  []Fault // what loads and is probably not meant, or has no effect in this version
}

// String names what was loaded and prints nothing of it: claims and addresses are nobody's business in a log.
func (l *Loaded) String() string { return fmt.Sprintf("configuration for role %s", l.Role) }

// GoString is String for %#v.
func (l *Loaded) GoString() string { return l.String() }

// Load reads, expands, decodes strictly, checks and builds. The error is a Faults, or an I/O error that names the file.
// With Faults, what is returned holds the role and the warnings and nothing else.
// lookup is os.LookupEnv in production.
func Load(path string, role Role, lookup func(string) (string, bool)) (*Loaded, error) {
	if !slices.Contains([]Role{RoleAll, RoleGateway, RoleIssuer}, role) {
		return nil, fmt.Errorf("configs: role %q is not all, gateway or issuer", role)
	}
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("configs: %w", err)
	}
	return load(path, data, role, lookup)
}

func load(path string, data []byte, role Role, lookup func(string) (string, bool)) (*Loaded, error) {
	doc := newDocument(path)
	loaded := doc.load(data, role, lookup)
	if len(doc.faults) > 0 {
		loaded = &Loaded{Role: role}
	}
	loaded.Warnings = Faults(doc.warnings).sorted(path)
	if len(doc.faults) > 0 {
		return loaded, doc.faults.sorted(path)
	}
	return loaded, nil
}

// load notes faults and warnings; what it returns is of use only without faults.
func (d *document) load(data []byte, role Role, lookup func(string) (string, bool)) *Loaded {
	d.parse(data)
	if d.root == nil {
		return nil
	}
	d.overlay(lookup)
	(&expander{document: d, role: role, lookup: lookup}).expand(d.root, "", false)
	if d.otherVersion() {
		return nil
	}
	b := &builder{doc: d, role: role}
	d.decode(d.root, reflect.ValueOf(&b.file).Elem(), "")
	b.check()
	return b.build()
}

// readFile reads at most one byte more than parse accepts; a pipe (`-c <(…)`) is as good as a file.
func readFile(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// otherVersion: a file of another version has other keys, so that everything else said about it would mislead.
func (d *document) otherVersion() bool {
	n := d.find("version")
	switch {
	case n == nil:
		d.fault(d.root, "version is missing; begin the file with `version: 1`")
		return false
	case n.Value == "1":
		return false
	default:
		d.fault(n, "version: this program reads version 1 only, got %s; use the release that the file was written for, or `version: 1`", d.kind(n))
		return true
	}
}

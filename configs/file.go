package configs

//go:generate go -C ../tools run ./schema

// File is the YAML file. Every key is optional unless its comment says required; what a role needs beyond
// that is said by the checks. Unknown keys, duplicate keys and wrong types are faults.
type File struct {
	// The format of this file: 1. Required.
	Version int `yaml:"version"`
	// The exact `iss` that services verify, and the base of the issuer's paths: an https URL without query, fragment
	// or trailing slash. Required. Changing it makes every token and reference issued before worthless.
	Issuer string `yaml:"issuer"`
	// Accept plain HTTP listeners, redis:// and an http issuer beyond loopback. Default false. Whoever can listen on
	// that network then reads references and JWTs; only for networks that encrypt by themselves.
	InsecurePlaintext bool `yaml:"insecure_plaintext"`
	// Where the process listens.
	Listen ListenSection `yaml:"listen"`
	// Certificate of the gateway and issuer listeners. Absent: plain HTTP, which needs loopback or insecure_plaintext.
	TLS TLSSection `yaml:"tls"`
	// Where grants are kept: `memory` (development, role all only) or {redis: …}. Required.
	Store StoreSection `yaml:"store"`
	// The issuer's signing keys, and where an edge finds their public halves.
	Keys KeysSection `yaml:"keys"`
	// The references that clients hold.
	Tokens TokensSection `yaml:"tokens"`
	// How grants end early: the bound, and who keeps the record of what was revoked.
	Revocation RevocationSection `yaml:"revocation"`
	// Who may use the admin API.
	Admin AdminSection `yaml:"admin"`
	// The record of what was issued, refused, revoked and changed, which cannot be changed unseen. Absent: the log alone.
	Audit AuditSection `yaml:"audit"`
	// The services that accept our JWTs, by the `aud` that they verify.
	Audiences map[string]AudienceSection `yaml:"audiences"`
	// The services behind routes, by name.
	Upstreams map[string]UpstreamSection `yaml:"upstreams"`
	// The rules of the edge. The most specific one wins, order does not matter, and ties are a fault.
	Routes []RouteSection `yaml:"routes"`
	// Who may ask for references, by client id.
	Clients map[string]ClientSection `yaml:"clients"`
	// Other issuers whose word is taken for who somebody is, by an alias: a company's identity provider. What it calls
	// somebody begins here with the alias and a colon.
	TrustedIssuers map[string]TrustedIssuerSection `yaml:"trusted_issuers"`
	// Bounds on what callers may do to one edge, and clients to one issuer.
	Limits LimitsSection `yaml:"limits"`
	// The edge's cache of opened grants.
	Cache CacheSection `yaml:"cache"`
	// What a process tells about itself.
	Telemetry TelemetrySection `yaml:"telemetry"`
}

// ListenSection is where each listener binds: host:port, or :port for every interface.
type ListenSection struct {
	// Callers with references. Required for the roles all and gateway.
	Gateway string `yaml:"gateway"`
	// The token endpoint, the key set and the metadata. Required for the roles all and issuer.
	Issuer string `yaml:"issuer"`
	// Introspection, for services only: when set, listen.issuer and the metadata no longer have it. Of the issuer; with the
	// same certificate. Absent: listen.issuer serves it.
	Internal string `yaml:"internal"`
	// /healthz, /readyz and /metrics, always plain HTTP: no credential passes here, and probes and scrapers expect it.
	// Absent: not opened.
	Metrics string `yaml:"metrics"`
	// The admin API: host:port, or the path of a unix socket. Of the issuer; opened when admin.tokens names somebody who
	// may use it. On loopback and on a socket it is plain HTTP, beyond it speaks TLS with the certificate of tls.
	// Absent: not opened.
	Admin string `yaml:"admin"`
	// Peers (addresses or CIDR) whose X-Forwarded-For is believed, at the edge, and who may hold any number of connections,
	// to edge and issuer. Default none. A peer too many lets callers choose the address that limits and logs see.
	TrustedProxies []string `yaml:"trusted_proxies"`
}

// TLSSection is a certificate and its key. Both or neither.
type TLSSection struct {
	// PEM certificate chain, leaf first.
	CertFile string `yaml:"cert_file"`
	// PEM private key; not readable by others.
	KeyFile string `yaml:"key_file"`
}

// StoreSection is `memory`, or a Redis.
type StoreSection struct {
	// Redis 7.0 or newer, or Valkey.
	Redis *RedisSection `yaml:"redis"`

	memory bool // set by the shorthand `store: memory`
}

// RedisSection is a single Redis.
type RedisSection struct {
	// rediss://host:port/db (TLS), or redis:// on loopback. Never with a password inside. Required.
	URL string `yaml:"url"`
	// ACL user. Default: Redis' own default user.
	Username string `yaml:"username"`
	// The password, as ${env:NAME}; one written out here is a fault.
	Password Secret `yaml:"password"`
	// File with the password, read anew for each connection, so that it can be changed without a restart.
	PasswordFile string `yaml:"password_file"`
	// PEM file of the authorities that may have signed the server's certificate. Default: those of the system.
	CAFile string `yaml:"ca_file"`
	// Database number. Default: the one in the URL, else 0.
	DB *int `yaml:"db"`
	// First part of every key. Default coatcheck. Two systems that share a Redis must differ here.
	Prefix string `yaml:"prefix"`
	// For one command, connecting included. Default 500ms. A longer one makes callers wait longer for the 503.
	Timeout Duration `yaml:"timeout"`
}

// KeysSection is about signing keys.
type KeysSection struct {
	// Signing algorithm: ES256, EdDSA, RS256 or PS256. Default ES256. Another one than before is a rotation: its first key
	// signs ten minutes later at the latest, and the old keys stay published until their last token has died.
	Algorithm string `yaml:"algorithm"`
	// How long a signing key signs. Default 30d; 0: never rotated.
	RotateEvery *Duration `yaml:"rotate_every"`
	// Files with the private signing keys, each one PEM block PRIVATE KEY (PKCS #8) with a P-256, Ed25519 or RSA key, in the
	// order in which they are to sign: the first now, the second next. They are read again when they change. The same on
	// every issuer. Default: none; then keys are generated, and lie sealed in the store.
	SigningKeyFiles []string `yaml:"signing_key_files"`
	// The key-encryption keys, as ${env:NAME}; one written out here is a fault.
	EncryptionKey Secret `yaml:"encryption_key"`
	// File of the key-encryption keys, under which the key ring lies in the store: one standard base64 key of 32 bytes a
	// line, the first seals, all open. Read by issuers only, who require it. Losing it loses the signing keys.
	EncryptionKeyFile string `yaml:"encryption_key_file"`
	// File in which an issuer keeps its own sealed copy of the newest key ring: after a restart too it then refuses an
	// older one that somebody put back, and gives a store that lost its data its ring again. One for each issuer, in a
	// folder that it may write. Default: none; a restarted issuer believes the store.
	RingFile string `yaml:"ring_file"`
	// Where an edge fetches the public keys. Default: what the issuer's metadata says.
	JWKSURL string `yaml:"jwks_url"`
	// File with the public keys (a JWKS), instead of fetching them. Someone must then replace it at each rotation.
	JWKSFile string `yaml:"jwks_file"`
	// PEM file of the authorities that may have signed the certificate of the issuer that an edge fetches keys from.
	// Default: those of the system.
	CAFile string `yaml:"ca_file"`
}

// TokensSection is about references.
type TokensSection struct {
	// First characters of every reference, 2 to 12 of a-z and 0-9; secret scanners look for them. Default cck.
	// References with another prefix are refused.
	Prefix string `yaml:"prefix"`
	// How long a reference and its JWTs live. Default 10m. A JWT captured inside is worth as much.
	TTL Duration `yaml:"ttl"`
	// Older references are refused before any look-up. Default: ttl. Raise it before giving a client a longer ttl,
	// and lower it only after the last longer one has expired.
	MaxTTL Duration `yaml:"max_ttl"`
	// The stamp keys, as ${env:NAME}; one written out here is a fault.
	StampKeys Secret `yaml:"stamp_keys"`
	// File of the stamp keys that mark our references: one standard base64 key of 32 bytes a line, the first stamps, all
	// are accepted. The same on every issuer and edge. Required. Removing a key ends the references that it stamped.
	StampKeysFile string `yaml:"stamp_keys_file"`
}

// RevocationSection is about ending grants early.
type RevocationSection struct {
	// How long an edge may use what it has read before it must have read on. Default 500ms, 50ms to 30s. Read by issuers,
	// who tell it to every edge. Longer means fewer questions to the store, and a revocation that is acknowledged that much
	// later; an acknowledged one holds at once, whatever the lease.
	Lease *Duration `yaml:"lease"`
	// File of the issuer's own record of what it was asked to revoke, from which a store that comes back from the past is
	// brought up to date. On a disk that survives the machine's restart, one for each issuer, in a folder that only the issuer
	// may write. Required for the roles all and issuer, except with a store in memory, which keeps none. Losing it ends the
	// grants issued before the store's next restart.
	Journal string `yaml:"journal"`
	// Names of all issuers of the system, the same list for each: after a restart the store waits for the journals of all of
	// them. 1 to 64 of A-Z, a-z, 0-9, - and _ each. Default [issuer-1].
	Issuers []string `yaml:"issuers"`
	// Which of them this process is. Default: the only one; required when there are several. One file can serve all of
	// them when COATCHECK_REVOCATION_NAME and COATCHECK_REVOCATION_JOURNAL differ.
	Name string `yaml:"name"`
	// Replicas of Redis that must have a revocation before it is acknowledged, 0 to 5. Default 0: the journal alone makes it
	// durable. With more replicas than there are, nothing can be revoked.
	Replicas int `yaml:"replicas"`
	// How long a store that has restarted waits for the journal of an issuer that does not answer. Default 30s, 1s to 1h.
	// After it every grant issued before ends, because nobody knows what that issuer has revoked.
	MissingAfter Duration `yaml:"missing_after"`
	// How long a stream that is open (WebSocket, SSE, a long download) outlives a lost lease. Default 5s, at most 5m. It
	// bounds for how long a revoked stream can go on when an edge is cut off from the store.
	StreamGrace Duration `yaml:"stream_grace"`
}

// AdminSection is about the admin API.
type AdminSection struct {
	// Operators and their programs, by the name that the audit log shows: 1 to 64 of A-Z, a-z, 0-9, ., - and _.
	Tokens map[string]AdminTokenSection `yaml:"tokens"`
}

// AdminTokenSection is one operator. Exactly one of token, token_file and token_hash is required.
type AdminTokenSection struct {
	// The token, as ${env:NAME}; one written out here is a fault.
	Token Secret `yaml:"token"`
	// File with the token, at least 32 characters and generated. Read by issuers only.
	TokenFile string `yaml:"token_file"`
	// sha256:<hex> of a generated token.
	TokenHash string `yaml:"token_hash"`
	// What it may do: tokens:read (list, inspect), tokens:revoke, clients:read, clients:write. Required.
	Scopes []string `yaml:"scopes"`
}

// AuditSection is the audit log of an issuer.
type AuditSection struct {
	// Its file: JSON lines, each chained to the one before by a hash and a keyed mac. One for each issuer, in a folder that
	// only the issuer may write. It may be renamed at any time. Required if the section is there.
	File string `yaml:"file"`
	// Issue nothing, and acknowledge no revocation, that is not on its disk: each then waits for an fsync, and a full disk is
	// a 503. Default false: both go on, and what is lost is counted. Changes by operators are always written down first.
	Required bool `yaml:"required"`
	// Size at which a file is put aside as FILE.NUMBER. Default 100MiB; 0: never. Nothing is ever removed.
	MaxSize *Size `yaml:"max_size"`
}

// AudienceSection is one service that accepts our JWTs.
type AudienceSection struct {
	// Scope → what it lets a client do, in words. A scope belongs to one audience.
	Scopes map[string]string `yaml:"scopes"`
	// Absolute URI by which clients may also name this audience in `resource` (RFC 8707).
	Resource string `yaml:"resource"`
	// The claims beside ours that the service may see; its JWTs carry no others. Default: those configured for the client, and
	// none that another issuer says of a user. [] means none at all.
	Claims []string `yaml:"claims"`
	// Encrypt its JWTs, so that nobody but the service can read them. Default: they are signed alone.
	Encrypt *EncryptSection `yaml:"encrypt"`
}

// EncryptSection is how JWTs are encrypted for one service. Exactly one of key_file, jwks_file and jwks_url is required.
type EncryptSection struct {
	// PEM file with the public key of the service: EC on P-256, P-384 or P-521, or RSA of 2048 bits or more.
	KeyFile string `yaml:"key_file"`
	// File with its public keys (a JWKS; `use` must be enc). Someone must replace it when the service rotates.
	JWKSFile string `yaml:"jwks_file"`
	// Where the service publishes them. They are fetched every minute; the last ones are kept while it is away. Until they
	// have been fetched once, no token for the audience is issued.
	JWKSURL string `yaml:"jwks_url"`
	// PEM file of the authorities that may have signed the certificate of jwks_url. Default: those of the system.
	CAFile string `yaml:"ca_file"`
	// ECDH-ES, ECDH-ES+A256KW or RSA-OAEP-256. Default ECDH-ES; of a key_file with an RSA key RSA-OAEP-256.
	Algorithm string `yaml:"algorithm"`
	// How the content is encrypted. Default and only one: A256GCM.
	Encryption string `yaml:"encryption"`
	// The name of the key. With key_file the one that the JWTs say, by default its RFC 7638 thumbprint; with a JWKS the key to
	// use, by default the first of them.
	KID string `yaml:"kid"`
}

// UpstreamSection is one service behind routes. An http URL is accepted, for networks that encrypt by themselves;
// otherwise whoever can listen between the edge and the service reads JWTs, so prefer https.
type UpstreamSection struct {
	// Its address: scheme and host, no path. Either url or urls is required.
	URL string `yaml:"url"`
	// Several addresses, used in turn.
	URLs []string `yaml:"urls"`
	// Path that the edge asks of each address in the background; one that fails is left out. Absent: never asked, always used.
	Health string `yaml:"health"`
	// Until the response headers are there. Default 30s.
	Timeout Duration `yaml:"timeout"`
	// PEM file of the authorities that may have signed its certificate. Default: those of the system.
	CAFile string `yaml:"ca_file"`
}

// RouteSection is one rule of the edge.
type RouteSection struct {
	// For logs and metrics; unique. Required.
	Name string `yaml:"name"`
	// [METHOD ][HOST]/path with {segment} and {rest...}, as in Go's http.ServeMux. {rest...} also matches the bare
	// prefix, and GET matches HEAD. Required.
	Match string `yaml:"match"`
	// Name of the upstream. Required.
	Upstream string `yaml:"upstream"`
	// The audience whose JWT the upstream gets. Required unless public.
	Audience string `yaml:"audience"`
	// Scopes of that audience that the grant must all have. Default none.
	Scopes []string `yaml:"scopes"`
	// Let everyone through without a reference; credentials are then removed. Default false.
	Public bool `yaml:"public"`
	// Taken off the front of the path before it is forwarded.
	StripPrefix string `yaml:"strip_prefix"`
	// leased: the cache may answer, under a lease. strict: the store is asked for each request, so that the route works
	// only while it answers. Default leased; an acknowledged revocation holds on both.
	Freshness string `yaml:"freshness"`
	// Let `Upgrade: websocket` pass. Default false; no other upgrade ever does.
	WebSocket bool `yaml:"websocket"`
}

// ClientSection is who may ask for references. It proves who it is by a secret (one of secret, secret_file and secret_hash),
// by keys (one of jwks, jwks_file and jwks_url), or by either; or it is public.
type ClientSection struct {
	// The secret, as ${env:NAME}; one written out here is a fault.
	Secret Secret `yaml:"secret"`
	// File with the secret, at least 16 characters and generated. Read by issuers only.
	SecretFile string `yaml:"secret_file"`
	// sha256:<hex> of a generated secret, or an argon2id PHC string.
	SecretHash string `yaml:"secret_hash"`
	// Its public keys as a JWKS, each with a kid: it then signs a JWT to say who it is (private_key_jwt).
	JWKS map[string]any `yaml:"jwks"`
	// File with its public keys.
	JWKSFile string `yaml:"jwks_file"`
	// Where it publishes its public keys: https, or http on loopback. Fetched when they are used.
	JWKSURL string `yaml:"jwks_url"`
	// What it may sign with, of ES256, EdDSA, PS256 and RS256. Default: all of them.
	Algorithms []string `yaml:"algorithms"`
	// It cannot prove who it is, so anybody can say that he is it: for grant types that rest on something else. Default false.
	Public bool `yaml:"public"`
	// How it may ask: client_credentials, token-exchange (RFC 8693), jwt-bearer (RFC 7523), refresh_token beside one of these two. Required, unless it only serves.
	GrantTypes []string `yaml:"grant_types"`
	// Audience → the scopes of it that the client may have. Required, unless it only serves.
	Audiences map[string][]string `yaml:"audiences"`
	// What it gets when it asks for no audience and no scope. Default: its only audience.
	DefaultAudiences []string `yaml:"default_audiences"`
	// The audiences that this client is the service of: it may introspect tokens for them, and no others. Default none.
	Serves []string `yaml:"serves"`
	// What it may exchange by token-exchange, beside the tokens of trusted issuers that name it. Default nothing.
	Exchange ExchangeSection `yaml:"exchange"`
	// Extra claims in its JWTs, never a registered one or one of ours.
	Claims map[string]any `yaml:"claims"`
	// How long its references live. Default tokens.ttl; at most tokens.max_ttl.
	TTL Duration `yaml:"ttl"`
	// How long its refresh tokens can be used, from the first one on; longer than ttl, at most 90d. Required with the grant
	// type refresh_token, and of no use without. A shorter one holds at once, also for those that are out.
	RefreshTTL Duration `yaml:"refresh_ttl"`
	// Live grants at a time. Default 10000; reaching it is this client's 429.
	MaxGrants int64 `yaml:"max_grants"`
	// Bytes of live grants at a time. Default 40MiB; reaching it is this client's 429.
	MaxBytes Size `yaml:"max_bytes"`
}

// ExchangeSection is which tokens of ours a client may exchange for one of its own.
type ExchangeSection struct {
	// Clients whose references it may bring; its own only if it is listed. Default none.
	References []string `yaml:"references"`
	// The JWTs that it has received as the service that it serves. Default false. Whoever breaks into the service then makes
	// references out of them, each within what its caller and the client both may.
	JWTs bool `yaml:"jwts"`
	// It may say who acts for the subject (actor_token), by one of these tokens or a reference of its own. Default false.
	Actors bool `yaml:"actors"`
}

// TrustedIssuerSection is one issuer beside our own.
type TrustedIssuerSection struct {
	// The exact `iss` of its tokens. Required.
	Issuer string `yaml:"issuer"`
	// What its tokens must be made out to: one of their `aud`. Required. Without it a token for any other application of
	// the company would do here.
	Audience string `yaml:"audience"`
	// Where it publishes its keys. Either this or jwks_file is required. A token of its own never says where.
	JWKSURL string `yaml:"jwks_url"`
	// File with its keys (a JWKS), instead of fetching them. Someone must then replace it at each rotation.
	JWKSFile string `yaml:"jwks_file"`
	// PEM file of the authorities that may have signed the certificate of jwks_url. Default: those of the system.
	CAFile string `yaml:"ca_file"`
	// Algorithms that it signs with: ES256, EdDSA, RS256, PS256. Required.
	Algorithms []string `yaml:"algorithms"`
	// What the header `typ` of its tokens says: JWT, at+jwt, or "" for one without. Required. It keeps other classes of its
	// tokens out.
	Typ []string `yaml:"typ"`
	// Applications of the company that its tokens may have been issued to (`azp`). Default: any.
	Azp []string `yaml:"azp"`
	// Our name → its claim, or a path to it such as /realm_access/roles. Default none. Together at most 2 KiB, never a
	// registered name or one of ours; a service sees those that its audience lists.
	Claims map[string]string `yaml:"claims"`
	// Clients that may bring its tokens, by token-exchange or jwt-bearer. Required.
	Clients []string `yaml:"clients"`
	// How old a token may be, whatever its own expiry. Default 2h.
	MaxAge Duration `yaml:"max_age"`
	// For clocks that differ. Default 0; at most 60s.
	Leeway Duration `yaml:"leeway"`
}

// LimitsSection is what callers may do to one edge, and clients to one issuer.
type LimitsSection struct {
	// Requests of one client, as 100/s, 6000/m or 1000/h. Default: no limit; 0 or off says so.
	PerClient Rate `yaml:"per_client"`
	// Refused references from one address before it gets 429. Default 20/s; 0 or off: no brake.
	// Behind a balancer set listen.trusted_proxies, or all callers share one address.
	BadReferences *Rate `yaml:"bad_references"`
	// Revocations that one client may ask one issuer for, five seconds' worth of them at once. Default 20/s. More are a 429;
	// operators, who use the admin API, are not limited.
	Revocations Rate `yaml:"revocations"`
	// Requests to one issuer, on all of its endpoints together.
	Issuer IssuerLimitsSection `yaml:"issuer"`
	// Size of a request body. Default 1MiB; a larger one is a 413.
	Body Size `yaml:"body"`
	// For a whole request, the upstream's answer included. Default 30s.
	RequestTimeout Duration `yaml:"request_timeout"`
}

// IssuerLimitsSection is what callers may do to one issuer, five seconds' worth of it at once. More is a 429.
type IssuerLimitsSection struct {
	// Requests of one client that has proved who it is. Default 200/s; 0 or off: no limit.
	PerClient *Rate `yaml:"per_client"`
	// Requests from one address (a /64 of IPv6). Default 200/s; 0 or off: no limit. Requests through one of
	// listen.trusted_proxies count for the address that it names in X-Forwarded-For, and for none if it names none.
	PerAddress *Rate `yaml:"per_address"`
}

// CacheSection is the edge's cache.
type CacheSection struct {
	// Memory for opened grants. Default 64MiB. A smaller one asks the store more often.
	Size Size `yaml:"size"`
}

// TelemetrySection is what a process tells about itself.
type TelemetrySection struct {
	// The log on standard error.
	Logs LogsSection `yaml:"logs"`
	// Metrics.
	Metrics MetricsSection `yaml:"metrics"`
	// Traces.
	Traces TracesSection `yaml:"traces"`
}

// LogsSection is the log.
type LogsSection struct {
	// json or text. Default json.
	Format string `yaml:"format"`
	// debug, info, warn or error. Default info.
	Level string `yaml:"level"`
}

// MetricsSection is metrics.
type MetricsSection struct {
	// Serve /metrics on listen.metrics. Default true.
	Prometheus *bool `yaml:"prometheus"`
}

// TracesSection is traces.
type TracesSection struct {
	// Base URL of an OTLP collector over HTTP. Absent: no traces leave.
	OTLPEndpoint string `yaml:"otlp_endpoint"`
	// Share of requests that are traced, as 1% or 0.01. Default 1% with an endpoint.
	Sample *Share `yaml:"sample"`
}

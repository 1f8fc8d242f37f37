package configs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/issuer"
	"github.com/coatcheck/coatcheck/issuer/clients"
	"github.com/coatcheck/coatcheck/issuer/keyring"
	"github.com/coatcheck/coatcheck/issuer/sealing"
)

// burstOf is how many seconds' worth of requests and revocations may come at once.
const burstOf = 5

func (b *builder) issuer() *issuer.Config {
	config := &issuer.Config{
		Issuer:      b.file.Issuer,
		Algorithm:   b.file.Keys.Algorithm,
		Signers:     b.signers(),
		RotateEvery: or(b.file.Keys.RotateEvery, defaultRotate),
		Sealing:     b.sealing(),
		TTL:         b.ttl(),

		AuditRequired: b.file.Audit.Required,

		Audiences: map[string]issuer.Audience{},
		Clients:   map[string]clients.Client{},
		Trusted:   b.trusted(),
	}
	config.ClientRate, config.ClientBurst = bursting(b.file.Limits.Issuer.PerClient)
	config.AddressRate, config.AddressBurst = bursting(b.file.Limits.Issuer.PerAddress)
	if rate := float64(b.file.Limits.Revocations); rate > 0 {
		config.RevokeRate, config.RevokeBurst = rate, max(1, int(burstOf*rate))
	}
	config.Internal = b.file.Listen.Internal != ""
	if file := b.file.Keys.RingFile; file != "" {
		config.RingFile = b.doc.beside(file)
		config.ClientsFile = config.RingFile + ".clients"
	}
	for name, a := range b.file.Audiences {
		config.Audiences[name] = issuer.Audience{
			Scopes: a.Scopes, Resource: a.Resource, Claims: b.visible(name, a.Claims), Envelope: b.envelope(name, a.Encrypt),
		}
	}
	for _, id := range slices.Sorted(maps.Keys(b.file.Clients)) {
		c := b.file.Clients[id]
		config.Clients[id] = clients.Client{
			ID:               id,
			Secret:           b.clientSecret(id, c),
			Keys:             b.clientKeys(id, c),
			Public:           c.Public,
			GrantTypes:       wireNames(c.GrantTypes),
			Audiences:        c.Audiences,
			DefaultAudiences: c.DefaultAudiences,
			Serves:           c.Serves,
			Exchange:         clients.Exchange(c.Exchange),
			Claims:           c.Claims,
			TTL:              time.Duration(c.TTL),
			RefreshTTL:       time.Duration(c.RefreshTTL),
			MaxGrants:        c.MaxGrants,
			MaxBytes:         int64(c.MaxBytes),
		}
	}
	return config
}

// signers are the keys in files; nil: none are. Each file must be closed to others, and have a key in it now.
func (b *builder) signers() keyring.SignerSource {
	var paths []string
	for n, file := range b.file.Keys.SigningKeyFiles {
		if at, ok := b.placed("keys", "signing_key_files", n); ok {
			b.read(at, file, ownerAndGroup)
		}
		paths = append(paths, b.doc.beside(file))
	}
	if len(paths) == 0 {
		return nil
	}
	files := keyring.NewFiles(paths...)
	if len(b.doc.faults) == 0 {
		if _, err := files.Signers(context.Background()); err != nil {
			b.doc.fault(b.doc.find("keys", "signing_key_files"), "keys.signing_key_files: %v", err)
		}
	}
	return files
}

func (b *builder) sealing() *sealing.Keys {
	k := b.file.Keys
	b.keepKeys(b.stamp, placed{}, "tokens.stamp_keys") // the first: no fault can follow
	keys, at := b.keysAt(k.EncryptionKey, k.EncryptionKeyFile, "encryption_key", "keys")
	if keys == nil {
		return nil
	}
	b.checkApart(keys, at)
	b.keepKeys(keys, at, "keys.encryption_key")
	sealing, err := sealing.New(keys...)
	if err != nil {
		b.doc.fault(at.node, "%s: %v", at.label, err)
		return nil
	}
	b.watch(k.EncryptionKeyFile, "keys.encryption_key_file", sealing.Replace)
	return sealing
}

// checkApart: every edge holds the stamp keys, and none may open the signing keys. So no key is both.
func (b *builder) checkApart(keys [][]byte, at placed) {
	for i, key := range keys {
		if slices.ContainsFunc(b.stamp, func(s []byte) bool { return bytes.Equal(s, key) }) {
			b.doc.fault(at.node, "%s: key %d is a stamp key (tokens) too, so that every edge could open the signing keys; make another stamp key with `%s`", at.label, i+1, makeKey)
		}
	}
}

func (b *builder) clientSecret(id string, c ClientSection) clients.SecretHash {
	var hash clients.SecretHash
	var err error
	at, ok := b.placed("clients", id, "secret_hash")
	if ok {
		hash, err = clients.ParseSecretHash(c.SecretHash)
		if raw, odd := hex.DecodeString(strings.TrimPrefix(c.SecretHash, "sha256:")); odd == nil && len(raw) == sha256.Size {
			b.oneUse([sha256.Size]byte(raw), at, "client", "the secret of client "+word(id))
		}
	} else {
		var text string
		if text, at, ok = b.secretAt(c.Secret, c.SecretFile, "secret", makeSecret, "clients", id); ok {
			hash, err = clients.HashSecret(text)
			b.warnBasic(at, text)
			b.oneUse(sha256.Sum256([]byte(text)), at, "client", "the secret of client "+word(id))
		}
	}
	if err != nil {
		b.doc.fault(at.node, "%s: %s", at.label, strings.TrimPrefix(err.Error(), "clients: "))
	}
	return hash
}

// warnBasic: RFC 6749 §2.3.1 wants a secret form-encoded in Basic. Many clients send it as it is; then + and % arrive
// changed, and what is not ASCII arrives in an encoding of their own.
func (b *builder) warnBasic(at placed, secret string) {
	if strings.ContainsFunc(secret, func(r rune) bool { return r == '+' || r == '%' || r <= ' ' || r > '~' }) {
		b.doc.warn(at.node, "%s: the secret has a +, a %%, a space or no ASCII in it, which clients that do not form-encode Basic (RFC 6749 §2.3.1) get wrong; generate it with `%s`", at.label, makeSecret)
	}
}

package verifier

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Bounds of a key set document; ours has three keys and one kilobyte.
const (
	maxDocument = 256 << 10 // bytes, of key sets and of metadata
	maxKeys     = 64
)

// privateMembers are the JWK members that a published set must never hold (RFC 7518 §6, RFC 9964).
const privateMembers = "d p q dp dq qi oth k priv"

// ParseJWKS reads an RFC 7517 key set of at most 256 KiB and 64 keys.
//
// It refuses the whole set if two keys share a kid, or if a key has a private member: both mean that whoever
// publishes the set has lost control of it. It skips a key that it cannot use (RFC 7517 §5): without a kid of
// our alphabet, with another kty, alg or use than ours, with a point off its curve, with RSA under 2048 bits.
// A set with no usable key is an error that says why each was skipped.
//
// With algorithms, only keys of those are taken, and a key that names none (RFC 7517 §4.4 lets it) has the first of
// them that fits it: so it is the reader who decides, and never a token (RFC 8725 §3.1).
func ParseJWKS(data []byte, algorithms ...string) (StaticKeys, error) {
	entries, err := keyEntries(data)
	if err != nil {
		return nil, fmt.Errorf("verifier: key set: %w", err)
	}
	keys := make(StaticKeys, len(entries))
	seen := make(map[string]struct{}, len(entries))
	var skipped []string
	for i, entry := range entries {
		jwk, err := parseObject([]byte(entry))
		if err != nil {
			return nil, fmt.Errorf("verifier: key set: key %d: %w", i, err)
		}
		if err := checkPublished(jwk, seen); err != nil {
			return nil, fmt.Errorf("verifier: key set: key %d: %w", i, err)
		}
		k, err := parseKey(jwk, entry, algorithms)
		if err != nil {
			skipped = append(skipped, fmt.Sprintf("key %d: %v", i, err))
			continue
		}
		keys[k.ID] = k
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("verifier: key set has no usable key (%s)", strings.Join(skipped, "; "))
	}
	return keys, nil
}

// keyEntries splits a key set document into the texts of its keys.
func keyEntries(data []byte) ([]string, error) {
	if len(data) > maxDocument {
		return nil, fmt.Errorf("longer than %d bytes", maxDocument)
	}
	set, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	raw, ok := set.raw("keys")
	if !ok {
		return nil, errors.New(`no member "keys"`)
	}
	entries, ok := parseArray(raw)
	if !ok {
		return nil, errors.New(`"keys" is not an array`)
	}
	if len(entries) > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	return entries, nil
}

// checkPublished refuses what spoils the whole set, also in keys that would be skipped: seen holds the kids of
// all keys so far, since a kid on a skipped key and on a good one still names two keys.
func checkPublished(jwk object, seen map[string]struct{}) error {
	for name := range strings.SplitSeq(privateMembers, " ") {
		if jwk.has(name) {
			return fmt.Errorf("has the private member %q: publish public keys only", name)
		}
	}
	id, ok := jwk.text("kid")
	if !ok {
		return nil
	}
	if _, twice := seen[id]; twice {
		return errors.New("has the kid of another key")
	}
	seen[id] = struct{}{}
	return nil
}

// parseKey reads one key; its error is the reason to skip it.
func parseKey(jwk object, text string, algorithms []string) (Key, error) {
	id, _ := jwk.text("kid")
	if !validKeyID(id) {
		return Key{}, fmt.Errorf("kid is not 1 to %d characters of A-Z a-z 0-9 - _", maxKeyID)
	}
	if jwk.has("use") {
		if use, _ := jwk.text("use"); use != "sig" {
			return Key{}, errors.New("use is not sig")
		}
	}
	alg, _ := jwk.text("alg")
	public, err := parsePublic(text)
	if err != nil {
		return Key{}, err
	}
	k := Key{ID: strings.Clone(id), Algorithm: alg, Public: public}
	if !jwk.has("alg") {
		k.Algorithm = k.firstFit(algorithms)
	}
	if _, err := k.method(); err != nil {
		return Key{}, err
	}
	if len(algorithms) > 0 && !slices.Contains(algorithms, k.Algorithm) {
		return Key{}, errors.New("alg is not one of those that are accepted")
	}
	return k, nil
}

// firstFit is the first algorithm that the key can be used with; empty: none.
func (k Key) firstFit(algorithms []string) string {
	for _, k.Algorithm = range algorithms {
		if _, err := k.method(); err == nil {
			return k.Algorithm
		}
	}
	return ""
}

// parsePublic reads the key material. go-jose checks coordinate lengths and that a point lies on its curve.
func parsePublic(text string) (any, error) {
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON([]byte(text)); err != nil {
		return nil, fmt.Errorf("key material: %w", err)
	}
	return jwk.Key, nil
}

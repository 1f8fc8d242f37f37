package issuer

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSealedStateOpensOnlyAsItWasSealed(t *testing.T) {
	t.Parallel()
	keys := sealingKeys(t, 1)
	plain := []byte("plain text of the state")
	blob := keys.seal("a-name", 7, plain)
	got, err := keys.open("a-name", 7, blob)
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("open: %q, %v; want %q", got, err, plain)
	}
	if bytes.Contains(blob, plain) || bytes.Equal(blob, keys.seal("a-name", 7, plain)) {
		t.Error("the blob shows the plain text, or two seals are the same")
	}
	for name, row := range map[string]struct {
		name    string
		version uint64
		blob    []byte
	}{
		"another name":                 {"b-name", 7, blob},
		"an older version":             {"a-name", 6, blob},
		"a newer version":              {"a-name", 8, blob},
		"cut":                          {"a-name", 7, blob[:len(blob)-1]},
		"longer":                       {"a-name", 7, append(bytes.Clone(blob), 0)},
		"a header alone":               {"a-name", 7, blob[:sealHeader]},
		"nothing":                      {"a-name", 7, nil},
		"another version of this form": {"a-name", 7, append([]byte{2}, blob[1:]...)},
	} {
		if _, err := keys.open(row.name, row.version, row.blob); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v, want %v", name, err, errBroken)
		}
	}
	for at := range blob {
		changed := bytes.Clone(blob)
		changed[at] ^= 1
		if _, err := keys.open("a-name", 7, changed); err == nil {
			t.Errorf("opened with byte %d changed", at)
		}
	}
}

// The name goes into the key as well: one purpose's key does not open another's state, whatever the context.
func TestEachPurposeHasItsKey(t *testing.T) {
	t.Parallel()
	k := sealingKeys(t, 1).keys[0]
	nonce := make([]byte, sealNonce)
	blob := k.aead("one").Seal(nil, nonce, []byte("x"), nil)
	if _, err := k.aead("two").Open(nil, nonce, blob, nil); err == nil {
		t.Error("a key for one purpose opens what was sealed for another")
	}
}

func TestTheFirstKeySealsAndAllOpen(t *testing.T) {
	t.Parallel()
	before, after, foreign := sealingKeys(t, 1), sealingKeys(t, 2, 1), sealingKeys(t, 3)
	blob := before.seal("n", 1, []byte("x"))
	if _, err := after.open("n", 1, blob); err != nil {
		t.Errorf("the old key behind a new one: %v, want it to open", err)
	}
	if _, err := before.open("n", 1, after.seal("n", 1, []byte("x"))); !errors.Is(err, errForeignKey) {
		t.Errorf("sealed by the new key, opened by the old: %v, want %v", err, errForeignKey)
	}
	_, err := foreign.open("n", 1, blob)
	if !errors.Is(err, errForeignKey) {
		t.Fatalf("a foreign key: %v, want %v", err, errForeignKey)
	}
	for _, part := range []string{before.KeyIDs()[0], foreign.KeyIDs()[0], "encryption key file"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not name %s", err, part)
		}
	}
	if diff := cmp.Diff(slices.Concat(sealingKeys(t, 2).KeyIDs(), before.KeyIDs()), after.KeyIDs()); diff != "" {
		t.Errorf("KeyIDs (-want +got):\n%s", diff)
	}
}

func TestNewSealingKeysSaysTheMend(t *testing.T) {
	t.Parallel()
	k := bytes.Repeat([]byte{1}, 32)
	for name, row := range map[string]struct {
		keys [][]byte
		want string
	}{
		"none":      {nil, "openssl rand"},
		"too short": {[][]byte{k, k[:31]}, "encryption key 2 has 31 bytes"},
		"too long":  {[][]byte{append(k, 1)}, "encryption key 1 has 33 bytes"},
		"twice":     {[][]byte{k, k}, "delete the line"},
	} {
		if _, err := NewSealingKeys(row.keys...); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, row.want)
		}
	}
}

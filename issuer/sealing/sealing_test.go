package sealing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSealedStateOpensOnlyAsItWasSealed(t *testing.T) {
	t.Parallel()
	keys := sealingKeys(t, 1)
	plain := []byte("plain text of the state")
	blob := keys.Seal("a-name", 7, plain)
	got, err := keys.Open("a-name", 7, blob)
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("open: %q, %v; want %q", got, err, plain)
	}
	if bytes.Contains(blob, plain) || bytes.Equal(blob, keys.Seal("a-name", 7, plain)) {
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
		if _, err := keys.Open(row.name, row.version, row.blob); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v, want %v", name, err, ErrBroken)
		}
	}
	for at := range blob {
		changed := bytes.Clone(blob)
		changed[at] ^= 1
		if _, err := keys.Open("a-name", 7, changed); err == nil {
			t.Errorf("opened with byte %d changed", at)
		}
	}
}

// The name goes into the key as well: one purpose's key does not open another's state, whatever the context.
func TestEachPurposeHasItsKey(t *testing.T) {
	t.Parallel()
	k := (*sealingKeys(t, 1).now.Load())[0]
	nonce := make([]byte, sealNonce)
	blob := k.aead("one").Seal(nil, nonce, []byte("x"), nil)
	if _, err := k.aead("two").Open(nil, nonce, blob, nil); err == nil {
		t.Error("a key for one purpose opens what was sealed for another")
	}
}

func TestTheFirstKeySealsAndAllOpen(t *testing.T) {
	t.Parallel()
	before, after, foreign := sealingKeys(t, 1), sealingKeys(t, 2, 1), sealingKeys(t, 3)
	blob := before.Seal("n", 1, []byte("x"))
	if _, err := after.Open("n", 1, blob); err != nil {
		t.Errorf("the old key behind a new one: %v, want it to open", err)
	}
	if _, err := before.Open("n", 1, after.Seal("n", 1, []byte("x"))); !errors.Is(err, ErrForeignKey) {
		t.Errorf("sealed by the new key, opened by the old: %v, want %v", err, ErrForeignKey)
	}
	_, err := foreign.Open("n", 1, blob)
	if !errors.Is(err, ErrForeignKey) {
		t.Fatalf("a foreign key: %v, want %v", err, ErrForeignKey)
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

func TestNewSaysTheMend(t *testing.T) {
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
		if _, err := New(row.keys...); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, row.want)
		}
	}
}

func sealingKeys(t testing.TB, firsts ...byte) *Keys {
	t.Helper()
	var raw [][]byte
	for _, b := range firsts {
		raw = append(raw, bytes.Repeat([]byte{b}, 32))
	}
	k, err := New(raw...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Nothing shows the keys, by whatever verb or encoder they are printed, from however deep inside.
func TestKeysCannotBePrinted(t *testing.T) {
	t.Parallel()
	keys := sealingKeys(t, 0x41)
	inside := struct {
		a *Keys
		b any
	}{keys, *keys.now.Load()}
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for _, v := range []any{keys, *keys, *keys.now.Load(), inside, &inside} {
		shown := fmt.Sprintf("%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v)
		if text, err := json.Marshal(v); err == nil {
			shown += string(text)
		}
		logger.LogAttrs(t.Context(), slog.LevelInfo, "x", slog.Any("v", v))
		for _, s := range []string{"AAAAAAAA", "65 65 65 65", "41414141", "0x41, 0x41"} {
			if strings.Contains(shown+log.String(), s) {
				t.Errorf("%T shows %q", v, s)
			}
		}
	}
	if text, err := json.Marshal(keys); err == nil {
		t.Errorf("marshalled to %s", text)
	}
}

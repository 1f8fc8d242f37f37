package keyring

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// listed is a source whose list a test changes.
type listed struct {
	mu   sync.Mutex // guards all
	keys []crypto.Signer
	err  error
}

func (l *listed) Signers(context.Context) ([]Signer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Signer
	for _, k := range l.keys {
		all = append(all, Signer{Signer: k})
	}
	return all, l.err
}

func (l *listed) set(err error, keys ...crypto.Signer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys, l.err = keys, err
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func idOf(k crypto.Signer) string { return thumbprint(k.Public()) }

// The private half of a key that lives outside is in no state, whatever becomes of the key.
func TestOutsideKeysAreNeverStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, c := ecKey(t), ecKey(t), ecKey(t)
		source := &listed{keys: []crypto.Signer{a, b}}
		f := &faulty{StateStore: store.NewMemory()}
		k := buildKit(t, f, func(c *Config) { c.Signers = source })
		looked := func() {
			k.look(t)
			r, _ := f.held(t, k.sealing)
			for _, key := range r.keys {
				if key.private != nil || !key.outside {
					t.Errorf("key %s (%s): its private half is in the store", key.id, key.state)
				}
			}
		}
		looked()
		for _, row := range []struct {
			list  []crypto.Signer
			wait  time.Duration
			signs crypto.Signer
		}{
			{[]crypto.Signer{a, b}, 0, a},
			{[]crypto.Signer{b, c}, publishFor, b}, // b was published long enough, so it signs as soon as it is first
			{[]crypto.Signer{c}, 0, b},             // c is published, and young
		} {
			time.Sleep(row.wait)
			source.set(nil, row.list...)
			looked()
			if got := k.Held().Active().ID(); got != idOf(row.signs) {
				t.Errorf("list %d: %s signs, want %s", len(row.list), got, idOf(row.signs))
			}
		}
		// b has gone from the list before c may sign: nothing is signed, and it is said why.
		if err := ready(k); err == nil || !strings.Contains(err.Error(), "revoke --key "+idOf(b)) {
			t.Errorf("the active key is not in the list: %v, want the mend", err)
		}
		time.Sleep(publishFor)
		looked()
		if k.activeKey(t) != idOf(c) {
			t.Error("the key in the list does not sign after it was published for its time")
		}
		if err := verifyWith(t, k.KeySet(), k.token(t)); err != nil {
			t.Error(err)
		}
	})
}

// A key that has retired, was withdrawn, or left the ring, never signs again, though it is first in the list.
func TestOutsideKeysDoNotComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, c := ecKey(t), ecKey(t), ecKey(t)
		source := &listed{keys: []crypto.Signer{a, b}}
		k := buildKit(t, store.NewMemory(), func(c *Config) { c.Signers = source })
		k.look(t)
		time.Sleep(publishFor)
		source.set(nil, b, c)
		k.look(t)
		for _, wait := range []time.Duration{0, 10*time.Minute + retireSkew, publishFor} { // retired, then gone
			time.Sleep(wait)
			source.set(nil, a, b, c)
			k.look(t)
			if got := k.activeKey(t); got != idOf(b) {
				t.Errorf("after %v %s signs, want b", wait, got)
			}
		}
		if err := k.Withdraw(t.Context(), idOf(b)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(publishFor)
		k.look(t)
		if got := k.activeKey(t); got != idOf(c) || k.Held().Has(idOf(a)) || k.Held().Has(idOf(b)) {
			t.Errorf("after the withdrawal of b %s signs, want c alone: %v", got, k.Held().outline(map[string]string{}))
		}
		// There is no other: the last one stays in the ring, and the caller is told.
		if err := k.Withdraw(t.Context(), idOf(c)); err == nil || !strings.Contains(err.Error(), "put another one into the list") {
			t.Errorf("withdraw the only key: %v, want the mend", err)
		}
		fresh := buildKit(t, store.NewMemory(), func(c *Config) { c.Signers = &listed{err: errors.New("locked")} })
		if err := fresh.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "locked") {
			t.Errorf("a source that has never answered: %v", err)
		}
	})
}

// From keys in the ring to keys outside: no token is refused, and the last private half leaves the store.
func TestKeysMoveOutside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{StateStore: store.NewMemory()}
		inside := buildKit(t, f)
		inside.look(t)
		first := inside.activeKey(t)
		time.Sleep(publishFor)
		a := ecKey(t)
		k := buildKit(t, f, func(c *Config) { c.Signers = &listed{keys: []crypto.Signer{a}} })
		var sets [][]byte
		for range 60 {
			k.look(t)
			sets = append(sets, k.KeySet())
			if err := verifyWith(t, sets[max(0, len(sets)-9)], k.token(t)); err != nil {
				t.Fatalf("a token of now, with the set of two minutes ago: %v", err)
			}
			time.Sleep(15 * time.Second)
		}
		if k.activeKey(t) != idOf(a) || !k.Held().Has(first) {
			t.Errorf("the outside key does not sign, or the one of before is not published: %v", k.Held().outline(map[string]string{}))
		}
		r, _ := f.held(t, k.sealing)
		if slices.ContainsFunc(r.keys, func(k Key) bool { return k.private != nil }) {
			t.Error("a private half is in the store")
		}
		// An issuer that was not told of it does not turn the ring back, and says what it needs.
		inside.look(t)
		if err := ready(inside); err == nil || !strings.Contains(err.Error(), "keys.signing_key_files") {
			t.Errorf("an issuer without the files: %v, want the mend", err)
		}
		if got, _ := f.held(t, k.sealing); got.Active().ID() != idOf(a) {
			t.Error("an issuer without the files took the ring over")
		}
	})
}

// foul signs with another key than it says.
type foul struct{ crypto.Signer }

func (f foul) Public() crypto.PublicKey {
	public, _, _ := ed25519.GenerateKey(rand.Reader)
	return public
}

// dumb does not sign at all.
type dumb struct{ crypto.Signer }

func (dumb) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the token was pulled out")
}

// A list that cannot be had, or is wrong, changes nothing and is said once; the keys of before sign on.
func TestBrokenListChangesNothing(t *testing.T) {
	t.Parallel()
	a, b := ecKey(t), ecKey(t)
	big, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	source := &listed{keys: []crypto.Signer{a, b}}
	k := buildKit(t, store.NewMemory(), func(c *Config) { c.Signers = source })
	k.look(t)
	for name, row := range map[string]struct {
		err  error
		list []crypto.Signer
		want string
	}{
		"away":               {errors.New("the module does not answer"), nil, "does not answer"},
		"empty":              {nil, nil, "list is empty"},
		"nothing in it":      {nil, []crypto.Signer{a, nil}, "there is none"},
		"twice":              {nil, []crypto.Signer{a, a}, "twice"},
		"on P-384":           {nil, []crypto.Signer{a, big}, "P-256"},
		"does not sign":      {nil, []crypto.Signer{a, dumb{ecKey(t)}}, "pulled out"},
		"signs as another's": {nil, []crypto.Signer{a, foul{ecKey(t)}}, "does not hold"},
	} {
		source.set(row.err, row.list...)
		before := strings.Count(k.log.String(), "stays in use")
		k.look(t)
		k.look(t)
		if !strings.Contains(k.Trouble(), row.want) || strings.Count(k.log.String(), "stays in use") != before+1 {
			t.Errorf("%s: trouble %q, want %q, and one line in the log", name, k.Trouble(), row.want)
		}
		if k.activeKey(t) != idOf(a) || k.Held().in(next).id != idOf(b) {
			t.Errorf("%s: the ring changed: %v", name, k.Held().outline(map[string]string{}))
		}
		k.token(t)
	}
	source.set(nil, a, b)
	k.look(t)
	if k.Trouble() != "" {
		t.Errorf("trouble %q after it was mended", k.Trouble())
	}
}

func writeKey(t testing.TB, path string, k crypto.Signer) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Files are read again when they change; one that is broken leaves all as it was, and shows nothing of its content.
func TestSigningKeyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	current, following := filepath.Join(dir, "current.pem"), filepath.Join(dir, "next.pem")
	a, b := ecKey(t), ecKey(t)
	writeKey(t, current, a)
	writeKey(t, following, b)
	k := buildKit(t, store.NewMemory(), func(c *Config) { c.Signers = NewFiles(current, following) })
	k.look(t)
	if k.activeKey(t) != idOf(a) || k.Held().in(next).id != idOf(b) {
		t.Fatalf("ring %v, want current.pem to sign and next.pem to follow", k.Held().outline(map[string]string{}))
	}
	good, err := os.ReadFile(current)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"empty": "", "cut": string(good[:len(good)/2]), "two": string(good) + string(good), "noise": strings.Repeat("secret-noise ", 100),
		"another block": strings.ReplaceAll(string(good), "PRIVATE KEY", "EC PRIVATE KEY"), "too long": strings.Repeat("x", maxKeyFile+1),
	} {
		if err := os.WriteFile(current, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		k.look(t)
		if !strings.Contains(k.Trouble(), current) || strings.Contains(k.Trouble()+k.log.String(), "secret-noise") {
			t.Errorf("%s: trouble %q, want the path and nothing of the content", name, k.Trouble())
		}
		if k.activeKey(t) != idOf(a) {
			t.Errorf("%s: another key signs", name)
		}
	}
}

package keyring

import (
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// outline is what a ring looks like from outside: which key is in which state.
func (r *Ring) outline(names map[string]string) []string {
	var all []string
	for _, k := range r.keys {
		if names[k.id] == "" {
			names[k.id] = string(rune('A' + len(names)))
		}
		all = append(all, names[k.id]+" "+string(k.state))
	}
	return all
}

func TestRingTurns(t *testing.T) {
	t.Parallel()
	const life, every = 10 * time.Minute, time.Hour
	names := map[string]string{}
	r := firstRing(t, testNow, es256(life, 0))
	for _, row := range []struct {
		name string
		at   time.Duration // after the ring was made
		life time.Duration
		want []string // nil: nothing changes
	}{
		{"at first", 0, life, nil},
		{"just before its time", every - time.Second, life, nil},
		{"rotation", every, life, []string{"A retired", "B active", "C next"}},
		{"while tokens of A may live", every + life + retireSkew - time.Second, life, nil},
		{"tokens of A are dead", every + life + retireSkew, life, []string{"B active", "C next"}},
		{"a client gets a longer life", every + 20*time.Minute, 3 * every, []string{"B active", "C next"}},
		{"a client gets a shorter life: tokens of the longer one are alive", every + 30*time.Minute, life, nil},
		{"second rotation", 2 * every, life, []string{"B retired", "C active", "D next"}},
		{"third rotation, B still needed", 3 * every, life, []string{"B retired", "C retired", "D active", "E next"}},
		{"tokens of B are dead", 5*every + retireSkew, life, []string{"C retired", "D retired", "E active", "F next"}},
	} {
		turned, changed := r.turned(testNow.Add(row.at), es256(row.life, every))
		if changed != (row.want != nil) || (!changed && turned != r) {
			t.Fatalf("%s: changed %v, want %v", row.name, changed, row.want != nil)
		}
		if !changed {
			continue
		}
		if diff := cmp.Diff(row.want, turned.outline(names)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", row.name, diff)
		}
		if turned.generation != r.generation+1 || turned.beginning() != r.beginning() {
			t.Fatalf("%s: generation %d after %d, beginning kept %v", row.name, turned.generation, r.generation, turned.beginning() == r.beginning())
		}
		r = turned
	}
}

// A next key that is too young does not sign, however long the active one has worked.
func TestYoungNextKeyWaits(t *testing.T) {
	t.Parallel()
	r := firstRing(t, testNow, es256(time.Minute, 0))
	now := testNow.Add(24 * time.Hour)
	r.in(next).since = now.Add(-publishFor + time.Second)
	if _, changed := r.turned(now, es256(time.Minute, time.Hour)); changed {
		t.Error("a key signs before it has been published for its time")
	}
	if _, changed := r.turned(now.Add(time.Second), es256(time.Minute, time.Hour)); !changed {
		t.Error("a key that has been published for its time does not sign")
	}
}

func TestRotationOff(t *testing.T) {
	t.Parallel()
	r := firstRing(t, testNow, es256(time.Minute, 0))
	if _, changed := r.turned(testNow.AddDate(10, 0, 0), es256(time.Minute, 0)); changed {
		t.Error("the ring turned in ten years although rotation is off")
	}
}

// A ring that was written back does not change at all before others had the time to write a later one over it.
func TestQuietRingWaits(t *testing.T) {
	t.Parallel()
	now := testNow.Add(24 * time.Hour)
	r := firstRing(t, testNow, es256(time.Minute, 0)).written(now)
	if _, changed := r.turned(now.Add(ringLease-time.Second), es256(time.Hour, time.Hour)); changed {
		t.Error("a ring turns within ringLease after it was written back")
	}
	if _, changed := r.turned(now.Add(ringLease), es256(time.Hour, time.Hour)); !changed {
		t.Error("a ring that was written back never turns again")
	}
}

func TestRingSurvivesTheStore(t *testing.T) {
	t.Parallel()
	keys := sealingKeys(t, 1)
	r, _ := firstRing(t, testNow, es256(time.Hour, 0)).turned(testNow.Add(2*time.Hour), es256(time.Hour, time.Hour))
	r = r.written(testNow)
	blob, err := r.seal(keys, 7)
	if err != nil {
		t.Fatal(err)
	}
	got, err := openRing(keys, 7, blob)
	if err != nil {
		t.Fatal(err)
	}
	if got.generation != r.generation || got.beginning() != r.beginning() || got.life != r.life || !got.quiet.Equal(r.quiet) ||
		string(got.set) != string(r.set) || len(got.keys) != 3 {
		t.Errorf("generation, index, life, quiet, key set or number of keys differ after opening")
	}
	if !got.sameBeginning(r) || !got.sameKeys(r) {
		t.Error("a ring is not the same as itself after opening")
	}
	for n, k := range r.keys {
		o := got.keys[n]
		if o.id != k.id || o.state != k.state || !o.since.Equal(k.since) || !o.until.Equal(k.until) || !sameHalf(k, o) {
			t.Errorf("key %d: %s %s since %v until %v; want %s %s %v %v", n, o.id, o.state, o.since, o.until, k.id, k.state, k.since, k.until)
		}
	}
}

// sameHalf: the private half is the same, and a retired key has none.
func sameHalf(a, b Key) bool {
	if a.state == retired {
		return a.private == nil && b.private == nil
	}
	return b.private().(*ecdsa.PrivateKey).Equal(a.private())
}

// What opens under our key is still looked at: a ring that another version wrote, or that has no key to sign with,
// is refused and not guessed at.
func TestOpenRingRefuses(t *testing.T) {
	t.Parallel()
	keys := sealingKeys(t, 1)
	for name, plain := range map[string]string{
		"not JSON":        "x",
		"another format":  `{"format":3,"generation":1,"index_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","keys":[]}`,
		"no generation":   `{"format":1,"index_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","keys":[]}`,
		"short beginning": `{"format":1,"generation":1,"index_key":"AAAA","keys":[]}`,
		"no keys":         `{"format":1,"generation":1,"index_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","keys":[]}`,
		"broken key":      `{"format":1,"generation":1,"index_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","keys":[{"state":"active","pkcs8":"AAAA"}]}`,
	} {
		if _, err := openRing(keys, 1, keys.Seal(ringName, 1, []byte(plain))); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// Nothing shows a key, by whatever verb or encoder it is printed, from however deep inside.
func TestKeysCannotBePrinted(t *testing.T) {
	t.Parallel()
	r := firstRing(t, testNow, es256(0, 0))
	raw, err := r.in(active).private().(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	index := r.beginning()
	private := new(big.Int).SetBytes(raw)
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for _, v := range []any{*r, r.keys, r.in(active), *r.in(active)} {
		shown := fmt.Sprintf("%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v)
		if text, err := json.Marshal(v); err == nil {
			shown += string(text)
		}
		logger.LogAttrs(t.Context(), slog.LevelInfo, "x", slog.Any("v", v))
		for _, s := range []string{
			private.String(), private.Text(16), decimals(raw[:6]), fmt.Sprint(uint64(private.Bits()[1])),
			decimals(index[:6]), hex.EncodeToString(index[:6]),
		} {
			if strings.Contains(shown+log.String(), s) {
				t.Errorf("%T shows %q", v, s)
			}
		}
	}
}

// decimals is how fmt shows bytes within a longer list.
func decimals(b []byte) string { return strings.Trim(fmt.Sprint(b), "[]") }

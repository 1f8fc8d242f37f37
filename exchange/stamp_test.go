package exchange

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func testStamper(t testing.TB, keys ...[]byte) *Stamper {
	t.Helper()
	if len(keys) == 0 {
		keys = [][]byte{make([]byte, stampKeySize)}
		rand.Read(keys[0])
	}
	s, err := NewStamper("cck", time.Hour, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func reasonOf(err error) Reason {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return ""
}

// withCRC mends the checksum of an edited reference, which anybody can do.
func withCRC(raw string) string {
	text := []byte(raw[:len(raw)-crcSize])
	return string(appendBase62(text, crcSize, uint64(crc32.ChecksumIEEE(text))))
}

func TestParseAcceptsWhatNewMade(t *testing.T) {
	t.Parallel()
	s := testStamper(t)
	r := s.New()
	got, err := s.Parse(r.Reveal())
	if err != nil || got.Reveal() != r.Reveal() || got.JTI() != r.JTI() {
		t.Fatalf("Parse of a new reference: %v", err)
	}
	if len(r.Reveal()) != len("cck_")+65 || len(r.JTI()) != 32 {
		t.Errorf("lengths %d and %d, want 69 and 32", len(r.Reveal()), len(r.JTI()))
	}
}

func TestParseRefusesEveryChange(t *testing.T) {
	t.Parallel()
	s := testStamper(t)
	raw := s.New().Reveal()
	body := len(s.prefix)
	for i := range len(raw) {
		for _, c := range []byte("0Az_-+/=.~ \x00\n\xff") {
			if raw[i] == c {
				continue
			}
			edited := raw[:i] + string([]byte{c}) + raw[i+1:]
			if _, err := s.Parse(edited); reasonOf(err) != ReasonMalformed {
				t.Errorf("byte %d is %q: %v, want malformed", i, c, err)
			}
			// With the checksum mended the tag is what refuses it; except where the checksum is itself.
			want := ReasonForged
			if i < body || valueOf(c) == invalid {
				want = ReasonMalformed
			}
			if i < len(raw)-crcSize {
				if _, err := s.Parse(withCRC(edited)); reasonOf(err) != want {
					t.Errorf("byte %d is %q, checksum mended: %v, want %s", i, c, err, want)
				}
			}
		}
	}
}

func TestParseRefusesOtherForms(t *testing.T) {
	t.Parallel()
	s := testStamper(t)
	raw := s.New().Reveal()
	for name, other := range map[string]string{
		"empty":              "",
		"one short":          raw[:len(raw)-1],
		"one long":           raw + "0",
		"line feed behind":   raw + "\n",
		"space before":       " " + raw[:len(raw)-1],
		"prefix in capitals": "CCK" + raw[3:],
		"other prefix":       "ccx" + raw[3:],
		"no underscore":      "cck-" + raw[4:],
		"all capitals":       strings.ToUpper(raw),
		"a megabyte":         strings.Repeat("a", 1<<20),
		// 11 characters hold more than 64 bits: the tag plus 2^64 would be a second spelling if tags were decoded.
		"tag beyond 64 bits": withCRC(raw[:len(raw)-crcSize-tagSize] + strings.Repeat("z", tagSize+crcSize)),
	} {
		if _, err := s.Parse(other); !errors.Is(err, ErrInactive) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
}

// The tag covers the prefix: two installations that share a stamp key by mistake do not share references.
func TestTagCoversThePrefix(t *testing.T) {
	t.Parallel()
	key := make([]byte, stampKeySize)
	a := testStamper(t, key)
	b, err := NewStamper("ccx", time.Hour, key)
	if err != nil {
		t.Fatal(err)
	}
	moved := withCRC("ccx" + a.New().Reveal()[3:])
	if _, err := b.Parse(moved); reasonOf(err) != ReasonForged {
		t.Errorf("%v, want forged", err)
	}
}

func TestParseRefusesByAge(t *testing.T) {
	t.Parallel()
	s := testStamper(t)
	minute := uint64(30_000_000)
	issued := time.Unix(int64(minute)*60, 0)
	raw := s.stamp(randomPart(rand.Reader), minute).Reveal()
	for _, row := range []struct {
		age  time.Duration
		want Reason
	}{
		{0, ""},
		{time.Hour + time.Minute, ""}, // issued at the end of its minute it would be an hour old now
		{time.Hour + time.Minute + time.Nanosecond, ReasonStale},
		{1000 * time.Hour, ReasonStale},
		{-2 * time.Minute, ""}, // an issuer whose clock is ahead
		{-2*time.Minute - time.Nanosecond, ReasonStale},
	} {
		if _, err := s.parse(raw, issued.Add(row.age)); reasonOf(err) != row.want {
			t.Errorf("age %v: %v, want %q", row.age, err, row.want)
		}
	}
	if _, err := s.parse(s.stamp(randomPart(rand.Reader), 62*62*62*62*62-1).Reveal(), issued); reasonOf(err) != ReasonStale {
		t.Errorf("the last minute of all: %v, want stale", err)
	}
}

func TestNewStampsTheMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := testStamper(t)
		raw := s.New().Reveal()
		time.Sleep(time.Hour)
		if _, err := s.Parse(raw); err != nil {
			t.Errorf("at its longest life: %v", err)
		}
		time.Sleep(time.Minute + time.Second)
		if _, err := s.Parse(raw); reasonOf(err) != ReasonStale {
			t.Errorf("beyond it: %v, want stale", err)
		}
	})
}

func TestParseAllocatesNothing(t *testing.T) {
	s := testStamper(t, make([]byte, 32), append(make([]byte, 31), 1))
	raw := s.New().Reveal()
	now := time.Now()
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := s.parse(raw, now); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestNewStamperRefuses(t *testing.T) {
	t.Parallel()
	good, long := make([]byte, 32), make([]byte, 33)
	for _, row := range []struct {
		name, prefix string
		longest      time.Duration
		keys         [][]byte
	}{
		{"no key", "cck", time.Hour, nil},
		{"a short key", "cck", time.Hour, [][]byte{good[:31]}},
		{"a long key", "cck", time.Hour, [][]byte{long}},
		{"a key twice", "cck", time.Hour, [][]byte{good, good}},
		{"no life", "cck", 0, [][]byte{good}},
		{"no prefix", "", time.Hour, [][]byte{good}},
		{"a short prefix", "c", time.Hour, [][]byte{good}},
		{"a long prefix", "cccccccccccck", time.Hour, [][]byte{good}},
		{"capitals in the prefix", "Cck", time.Hour, [][]byte{good}},
		{"a line feed in the prefix", "cck\n", time.Hour, [][]byte{good}},
		{"an underscore in the prefix", "c_k", time.Hour, [][]byte{good}},
	} {
		if s, err := NewStamper(row.prefix, row.longest, row.keys...); err == nil || s != nil {
			t.Errorf("%s is accepted", row.name)
		}
	}
	if s, err := NewStamper("abcdefghij01", time.Hour, good); err != nil {
		t.Errorf("the longest prefix: %v", err)
	} else if _, err := s.Parse(s.New().Reveal()); err != nil {
		t.Errorf("a reference with the longest prefix: %v", err)
	}
}

func TestKeyIDsNameKeysAndNotTheirBytes(t *testing.T) {
	t.Parallel()
	a, b := make([]byte, 32), append(make([]byte, 31), 1)
	ab, ba := testStamper(t, a, b).KeyIDs(), testStamper(t, b, a).KeyIDs()
	if len(ab) != 2 || ab[0] != ba[1] || ab[1] != ba[0] || ab[0] == ab[1] || len(ab[0]) != 8 || ab[0] == "00000000" {
		t.Errorf("ids %v and %v: want the same two, of 8 characters, the other way round", ab, ba)
	}
}

// TestT17_ReferencesShareNoStructure: every place of the random part takes every character equally often, pairs of
// neighbours included, and no reference comes twice. A fair source fails a bound of six standard deviations less than
// once in a million runs.
func TestT17_ReferencesShareNoStructure(t *testing.T) {
	t.Parallel()
	const n = 1_000_000
	var singles [randomSize][256]int
	var pairs [randomSize - 1][256 * 64]int
	seen := make(map[[16]byte]bool, n)
	for range n {
		part := randomPart(rand.Reader)
		seen[[16]byte(part[:])] = true
		for i, c := range part {
			singles[i][c]++
			if i > 0 && i <= 4 { // the start, where structure would show first
				pairs[i-1][int(valueOf(part[i-1]))<<6|int(valueOf(c))]++
			}
		}
	}
	if len(seen) != n {
		t.Errorf("%d references begin with the same 16 characters as another", n-len(seen))
	}
	for i := range singles {
		chiSquare(t, fmt.Sprintf("place %d", i), singles[i][:], 62, n)
	}
	for i := range 4 {
		chiSquare(t, fmt.Sprintf("places %d and %d", i, i+1), pairs[i][:], 62*62, n)
	}
}

func chiSquare(t *testing.T, what string, counts []int, kinds, n int) {
	t.Helper()
	expected := float64(n) / float64(kinds)
	sum, met := 0.0, 0
	for _, c := range counts {
		if c > 0 {
			met++
			sum += (float64(c) - expected) * (float64(c) - expected) / expected
		}
	}
	free := float64(kinds - 1)
	if distance := sum - free; met != kinds || distance*distance > 36*2*free {
		t.Errorf("%s: %d of %d values, chi-square %.0f, want %.0f give or take six times %.1f", what, met, kinds, sum, free, 2*free)
	}
}

func TestMACIsHMAC(t *testing.T) {
	t.Parallel()
	for size := range maxMACText + 1 {
		key, text := make([]byte, size%65), make([]byte, size)
		rand.Read(key)
		rand.Read(text)
		want := hmac.New(sha256.New, key)
		want.Write(text)
		if got := newMAC(key).sum(text); !hmac.Equal(got[:], want.Sum(nil)) {
			t.Fatalf("key of %d bytes, text of %d: not HMAC-SHA256", len(key), size)
		}
	}
}

func FuzzParse(f *testing.F) {
	s := testStamper(f)
	for range 3 {
		raw := s.New().Reveal()
		f.Add(raw)
		f.Add(withCRC(raw[:10] + "0" + raw[11:]))
		f.Add(strings.ToLower(raw))
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, raw string) {
		r, err := s.Parse(raw)
		if err != nil {
			if !errors.Is(err, ErrInactive) || errors.Is(err, ErrUnavailable) {
				t.Errorf("%q: %v is not ErrInactive alone", raw, err)
			}
			return
		}
		// Accepted: then our key made it, and it is the only spelling of what it says.
		at := len(s.prefix)
		again := s.stamp([randomSize]byte([]byte(raw[at:at+randomSize])), base62Value(raw[at+randomSize:at+randomSize+minuteSize]))
		if r.Reveal() != raw || again.Reveal() != raw {
			t.Errorf("%q is accepted and was never made", raw)
		}
	})
}

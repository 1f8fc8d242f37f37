package exchange

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"
)

func testRefresher(t testing.TB, keys ...[]byte) refresher {
	t.Helper()
	return newRefresher(testStamper(t, keys...))
}

func TestRefreshTokensOfAFamilyShareTheirFirstPart(t *testing.T) {
	t.Parallel()
	f := testRefresher(t)
	first := f.first()
	second := f.after(first)
	third := f.after(second)
	a, b := first.Reveal(), third.Reveal()
	const cut = len("cckr_") + familySize
	if len(a) != len("cckr_")+bodySize || a[:cut] != b[:cut] || !strings.HasPrefix(a, "cckr_") {
		t.Errorf("%q and %q: want the same %d characters, then others", a, b, cut)
	}
	if first.JTI() != third.JTI() || len(first.JTI()) != 32 || first.JTI() == f.first().JTI() {
		t.Errorf("families are called %s and %s: want one name for each family", first.JTI(), third.JTI())
	}
	marks := map[string]bool{first.mark(): true, second.mark(): true, third.mark(): true}
	if len(marks) != 3 || first.request([]byte("a")) == first.request([]byte("b")) || first.request([]byte("a")) == second.request([]byte("a")) {
		t.Errorf("tokens and requests of a family must have names of their own: %v", marks)
	}
	for _, r := range []Refresh{first, second, third} {
		if got, err := f.parse(r.Reveal(), time.Now()); err != nil || got.Reveal() != r.Reveal() {
			t.Errorf("parse of our own: %v", err)
		}
	}
}

func TestParseOfRefreshTokensRefusesEveryChange(t *testing.T) {
	t.Parallel()
	f := testRefresher(t)
	raw := f.first().Reveal()
	for i := range len(raw) {
		for _, c := range []byte("0Az_-+/=.~ \x00\n\xff") {
			if raw[i] == c {
				continue
			}
			edited := raw[:i] + string([]byte{c}) + raw[i+1:]
			if _, err := f.parse(edited, time.Now()); reasonOf(err) != ReasonMalformed {
				t.Errorf("byte %d is %q: %v, want malformed", i, c, err)
			}
			want := ReasonForged
			if i < len(f.prefix) || valueOf(c) == invalid {
				want = ReasonMalformed
			}
			if i < len(raw)-crcSize {
				if _, err := f.parse(withCRC(edited), time.Now()); reasonOf(err) != want {
					t.Errorf("byte %d is %q, checksum mended: %v, want %s", i, c, err, want)
				}
			}
		}
	}
	for name, other := range map[string]string{"empty": "", "one short": raw[1:], "one more": raw + "0", "a line feed": raw + "\n", "a megabyte": strings.Repeat("c", 1<<20)} {
		if _, err := f.parse(other, time.Now()); reasonOf(err) != ReasonMalformed {
			t.Errorf("%s: %v, want malformed", name, err)
		}
	}
}

func TestRefreshTokensAreRefusedByAge(t *testing.T) {
	t.Parallel()
	f := testRefresher(t)
	issued := time.Unix(30_000_000*60, 0)
	raw := f.write(randomPart(rand.Reader), 30_000_000)
	for _, row := range []struct {
		age  time.Duration
		want Reason
	}{{0, ""}, {MaxRefresh, ""}, {MaxRefresh + time.Minute + time.Second, ReasonStale}, {-maxAhead, ""}, {-maxAhead - time.Second, ReasonStale}} {
		if _, err := f.parse(raw, issued.Add(row.age)); reasonOf(err) != row.want {
			t.Errorf("%v old: %v, want %q", row.age, err, row.want)
		}
	}
}

// A reference with the prefix of refresh tokens, under the same stamp key, is none; nor the other way round.
func TestNoReferencePassesForARefreshToken(t *testing.T) {
	t.Parallel()
	key := make([]byte, stampKeySize)
	f := testRefresher(t, key)
	other, err := NewStamper("cckr", time.Hour, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.parse(other.New().Reveal(), time.Now()); reasonOf(err) != ReasonForged {
		t.Errorf("a reference as refresh token: %v, want forged", err)
	}
	if _, err := other.Parse(f.first().Reveal()); reasonOf(err) != ReasonForged {
		t.Errorf("a refresh token as reference: %v, want forged", err)
	}
}

// TestT17_RefreshTokensShareNoStructure: of 10^6 tokens of one family every place behind the family's part takes every
// character equally often, and none comes twice. Its 22 characters are 130 bits against who knows all older tokens; against
// who knows none it is 43, which are 256.
func TestT17_RefreshTokensShareNoStructure(t *testing.T) {
	t.Parallel()
	const n = 1_000_000
	f := testRefresher(t)
	family := f.first()
	begin := len(f.prefix) + familySize
	var singles [randomSize - familySize][256]int
	seen := make(map[[16]byte]bool, n)
	for range n {
		own := f.after(family).Reveal()[begin : len(f.prefix)+randomSize]
		seen[[16]byte([]byte(own))] = true
		for i := range len(own) {
			singles[i][own[i]]++
		}
	}
	if len(seen) != n {
		t.Errorf("%d tokens have the same 16 characters behind the family's part as another", n-len(seen))
	}
	for i := range singles {
		chiSquare(t, "place", singles[i][:], 62, n)
	}
}

func FuzzParseRefresh(f *testing.F) {
	r := testRefresher(f)
	s := testStamper(f)
	for range 3 {
		raw := r.first().Reveal()
		f.Add(raw)
		f.Add(withCRC(raw[:10] + "0" + raw[11:]))
		f.Add(s.New().Reveal())
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := r.parse(raw, time.Now())
		if err != nil {
			if !errors.Is(err, ErrInactive) || errors.Is(err, ErrUnavailable) {
				t.Errorf("%q: %v is not ErrInactive alone", raw, err)
			}
			return
		}
		at := len(r.prefix)
		again := r.write([randomSize]byte([]byte(raw[at:at+randomSize])), base62Value(raw[at+randomSize:at+randomSize+minuteSize]))
		if got.Reveal() != raw || again != raw {
			t.Errorf("%q is accepted and was never made", raw)
		}
	})
}

package exchange

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testContents(manifest string, tokens ...string) contents {
	c := contents{manifest: manifest, tokens: map[string]Token{}}
	for i := 0; i < len(tokens); i += 2 {
		c.tokens[tokens[i]] = NewToken(tokens[i+1])
	}
	return c
}

func (c contents) plainTokens() map[string]string {
	plain := map[string]string{}
	for a, t := range c.tokens {
		plain[a] = t.Reveal()
	}
	return plain
}

func TestSealedContentsOpen(t *testing.T) {
	t.Parallel()
	s := testStamper(t)
	r := s.New()
	want := testContents("manifest", "orders-api", "jwt of orders", "billing-api", "jwt of billing")
	expires := time.Unix(1_800_000_000, 0)
	blob, err := s.seal(r, r.JTI(), want, expires)
	if err != nil {
		t.Fatal(err)
	}
	got, until, err := s.open(r, r.JTI(), blob)
	if err != nil || !until.Equal(expires) || got.manifest != want.manifest {
		t.Fatalf("open: manifest %q until %v, error %v", got.manifest, until, err)
	}
	if diff := cmp.Diff(want.plainTokens(), got.plainTokens()); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

func TestEveryBitOfARecordIsAuthentic(t *testing.T) {
	t.Parallel()
	s := testStamper(t)
	r := s.New()
	blob, err := s.seal(r, r.JTI(), testContents("m", "a", "t"), time.Unix(1_800_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	for i := range blob {
		edited := bytes.Clone(blob)
		edited[i] ^= 1 << (i % 8)
		if _, _, err := s.open(r, r.JTI(), edited); err == nil {
			t.Errorf("opens with byte %d changed", i)
		}
	}
	if Open(s, s.New(), blob) == nil {
		t.Error("opens under another reference")
	}
}

func TestNoncesNeverRepeat(t *testing.T) {
	t.Parallel()
	s := testStamper(t)
	r := s.New()
	seen := map[[12]byte]bool{}
	for range 1000 {
		blob, err := s.seal(r, r.JTI(), testContents("m", "a", "t"), time.Unix(1_800_000_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		seen[[12]byte(blob[nonceAt:cipherAt])] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d nonces in 1000 records of one reference", len(seen))
	}
}

func TestRecordsAreSizeClasses(t *testing.T) {
	t.Parallel()
	s := testStamper(t)
	r := s.New()
	last := 0
	for size := 1; size < maxManifest; size += 97 {
		blob, err := s.seal(r, r.JTI(), testContents(strings.Repeat("m", size), "a", "t"), time.Unix(1_800_000_000, 0))
		if errors.Is(err, ErrTooLarge) && last == MaxRecord {
			return // the largest class was used before anything was refused
		}
		if err != nil {
			t.Fatalf("manifest of %d bytes: %v", size, err)
		}
		if len(blob) != last && last > 0 && len(blob)*4 > last*5 {
			t.Fatalf("class %d follows %d: more than 25 %%", len(blob), last)
		}
		last = len(blob)
	}
	t.Errorf("nothing was refused; the last record has %d bytes", last)
}

func TestSizeClassesHoldWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	for n := 1; n <= MaxRecord; n++ {
		c := sizeClass(n)
		if c < n || n > minClass && c*4 > n*5 || sizeClass(c) != c {
			t.Fatalf("class of %d is %d: want at least it, at most 25 %% more, and its own class", n, c)
		}
	}
	if c := sizeClass(MaxRecord); c != MaxRecord {
		t.Errorf("class of MaxRecord is %d", c)
	}
}

func TestSealRefusesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	s := testStamper(t)
	whole := strings.Repeat("t", MaxToken)
	many := contents{manifest: "m", tokens: map[string]Token{}}
	for _, a := range "abcdefgh" {
		many.tokens[string(a)] = NewToken(whole)
	}
	for name, row := range map[string]struct {
		c    contents
		want error
	}{
		"token at the cap":         {testContents("m", "a", whole), nil},
		"token over the cap":       {testContents("m", "a", whole+"t"), ErrTooLarge},
		"audience over its length": {testContents("m", strings.Repeat("a", 256), "t"), ErrTooLarge},
		"manifest over its length": {testContents(strings.Repeat("m", maxManifest+1), "a", "t"), ErrTooLarge},
		"record over the cap":      {many, ErrTooLarge},
	} {
		r := s.New()
		if _, err := s.seal(r, r.JTI(), row.c, time.Unix(1_800_000_000, 0)); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}

func TestContentsAreReadStrictly(t *testing.T) {
	t.Parallel()
	write := func(c contents) []byte {
		plain, err := c.appendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		return plain
	}
	two := write(testContents("m", "a", "one", "b", "two"))
	// The same two tokens, the second under the first's name, or before it.
	rename := func(first, second byte) []byte {
		plain := bytes.Clone(two)
		plain[bytes.Index(plain, []byte("a\x00\x03one"))] = first
		plain[bytes.Index(plain, []byte("b\x00\x03two"))] = second
		return plain
	}
	inside := append(bytes.Clone(two), 'x')
	inside[3]++ // counted by the length
	for name, plain := range map[string][]byte{
		"nothing":             {},
		"only zeros":          make([]byte, 100),
		"no manifest":         write(testContents("", "a", "t")),
		"no token":            write(testContents("m")),
		"an empty token":      write(testContents("m", "a", "")),
		"an empty audience":   write(testContents("m", "", "t")),
		"an audience twice":   rename('a', 'a'),
		"audiences unordered": rename('b', 'a'),
		"a byte too many":     inside,
		"padding not zero":    append(bytes.Clone(two), 0, 0, 1),
		"cut short":           two[:len(two)-1],
		"a length of 4 GiB":   append([]byte{0xff, 0xff, 0xff, 0xff}, two[4:]...),
	} {
		if c, err := readContents(plain); !errors.Is(err, errContents) || c.tokens != nil {
			t.Errorf("%s is read: %v", name, err)
		}
	}
	if _, err := readContents(append(two, make([]byte, 50)...)); err != nil {
		t.Errorf("padded contents: %v", err)
	}
}

func FuzzContents(f *testing.F) {
	for _, c := range []contents{testContents("m", "a", "t"), testContents("manifest", "a", "1", "b", "2", "c", "3")} {
		plain, err := c.appendTo(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
		f.Add(append(plain, 0, 0, 0))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		c, err := readContents(bytes.Clone(plain))
		if err != nil {
			return
		}
		again, err := c.appendTo(nil)
		if err != nil || !bytes.HasPrefix(plain, again) || bytes.ContainsFunc(plain[len(again):], func(r rune) bool { return r != 0 }) {
			t.Errorf("%q is read, and written again it is %q (%v)", plain, again, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	key := make([]byte, stampKeySize)
	s := testStamper(f, key)
	var random [randomSize]byte
	copy(random[:], strings.Repeat("R", randomSize))
	r := s.stamp(random, 30_000_000)
	blob, err := s.sealWith(r, r.JTI(), testContents("m", "a", "t"), time.Unix(1_800_000_000, 0), [12]byte{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob)
	f.Add(blob[:cipherAt])
	f.Add([]byte{blobVersion})
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := s.open(r, r.JTI(), data); err == nil && !bytes.Equal(data, blob) {
			t.Errorf("%q opens and was never sealed", data)
		}
	})
}

func TestDeriveWipesItsKey(t *testing.T) {
	t.Parallel()
	key := make([]byte, 32)
	rand.Read(key)
	derive(key, nil, "label", 32)
	if !bytes.Equal(key, make([]byte, 32)) {
		t.Error("the caller's copy of the key is still there")
	}
}

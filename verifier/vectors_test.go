package verifier_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/verifier"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/vectors anew")

// vectorFile is one file of testdata/vectors; its README.md tells the format.
type vectorFile struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Now         int64           `json:"now"`
	Issuer      string          `json:"issuer"`
	Audience    string          `json:"audience"`
	JWKS        json.RawMessage `json:"jwks"`
	Cases       []vectorCase    `json:"cases"`
}

type vectorCase struct {
	Name  string `json:"name"`
	Token string `json:"token"`
	Want  string `json:"want"`
}

// What a case may want.
const (
	wantOK         = "ok"
	wantInvalid    = "invalid"
	wantExpired    = "expired"
	wantUnknownKey = "unknown_key"
)

// newVectors is a file with the usual keys and no case yet.
func newVectors(name, description string, keys ...any) *vectorFile {
	k := testKeys()
	set := keySet(append([]any{k.es, k.ed, k.rs, k.ps}, keys...)...)
	return &vectorFile{
		Name: name, Description: description, Now: testNow.Unix(),
		Issuer: testIssuer, Audience: testAudience, JWKS: json.RawMessage(set),
	}
}

func (f *vectorFile) add(want, name, token string) {
	f.Cases = append(f.Cases, vectorCase{Name: name, Token: token, Want: want})
}

func (f *vectorFile) text() []byte {
	return append(must(json.MarshalIndent(f, "", "  ")), '\n')
}

func (f *vectorFile) path() string {
	return filepath.Join("testdata", "vectors", f.Name+".json")
}

// run verifies every case as a service would, with the clock at the file's now.
func (f *vectorFile) run(t *testing.T) {
	t.Helper()
	keys, err := verifier.ParseJWKS(f.JWKS)
	if err != nil {
		t.Fatalf("ParseJWKS(%s): %v", f.JWKS, err)
	}
	v, err := verifier.New(f.Issuer, f.Audience, verifier.Config{Keys: keys})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	v.SetNow(time.Unix(f.Now, 0))
	for _, c := range f.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			_, err := v.Verify(t.Context(), c.Token)
			if got := outcome(err); got != c.Want {
				t.Errorf("Verify(%s) = %q (%v), want %q", c.Token, got, err, c.Want)
			}
			if err != nil && leaks(err, c.Token) {
				t.Errorf("the error %q holds a piece of the token %s", err, c.Token)
			}
		})
	}
}

// outcome names an error as the vectors do.
func outcome(err error) string {
	switch {
	case err == nil:
		return wantOK
	case errors.Is(err, verifier.ErrUnknownKey) && errors.Is(err, verifier.ErrInvalid):
		return wantUnknownKey
	case errors.Is(err, verifier.ErrExpired):
		return wantExpired
	case errors.Is(err, verifier.ErrInvalid):
		return wantInvalid
	default:
		return "other: " + err.Error()
	}
}

// leaks reports whether an error holds 12 characters in a row of the token.
func leaks(err error, token string) bool {
	const piece = 12
	for i := 0; i+piece <= len(token); i++ {
		if bytes.Contains([]byte(err.Error()), []byte(token[i:i+piece])) {
			return true
		}
	}
	return false
}

func allVectors() []*vectorFile {
	return []*vectorFile{
		vectorsProfile(), vectorsNames(), vectorsEncoding(), vectorsCrit(), vectorsAlgorithms(),
		vectorsHeaderKeys(), vectorsKeyStrength(), vectorsDates(), vectorsClasses(),
	}
}

// The files are what other languages read, so they must be what these tests ran.
func TestVectorsAreFresh(t *testing.T) {
	t.Parallel()
	known := make(map[string]bool)
	for _, f := range allVectors() {
		known[f.path()] = true
		if *update {
			if err := os.WriteFile(f.path(), f.text(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(f.path())
		if err != nil {
			t.Fatalf("%v; run: go test -tags nomsgpack ./verifier -run TestVectorsAreFresh -update", err)
		}
		if diff := cmp.Diff(string(f.text()), string(got)); diff != "" {
			t.Errorf("%s is stale; run this test with -update (-want +got):\n%s", f.path(), diff)
		}
	}
	files := must(filepath.Glob(filepath.Join("testdata", "vectors", "*.json")))
	for _, path := range files {
		if !known[path] {
			t.Errorf("%s is made by no test; delete it", path)
		}
	}
}

// Each file is run as it is on disk, the way another language would.
func TestVectorFiles(t *testing.T) {
	t.Parallel()
	for _, path := range must(filepath.Glob(filepath.Join("testdata", "vectors", "*.json"))) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			var f vectorFile
			if err := json.Unmarshal(must(os.ReadFile(path)), &f); err != nil {
				t.Fatal(err)
			}
			f.run(t)
		})
	}
}

// newVerifier is a verifier for test tokens, its clock at testNow.
func newVerifier(t testing.TB, keys verifier.KeySource) *verifier.Verifier {
	t.Helper()
	v, err := verifier.New(testIssuer, testAudience, verifier.Config{Keys: keys})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	v.SetNow(testNow)
	return v
}

// staticKeys are the public keys that most tests trust.
func staticKeys() verifier.StaticKeys {
	k := testKeys()
	return must(verifier.ParseJWKS([]byte(keySet(k.es, k.ed, k.rs, k.ps))))
}

// countingKeys counts look-ups.
type countingKeys struct {
	verifier.KeySource
	asked *int
}

func (c countingKeys) Key(ctx context.Context, id string) (verifier.Key, error) {
	*c.asked++
	return c.KeySource.Key(ctx, id)
}

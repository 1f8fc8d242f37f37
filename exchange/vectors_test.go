package exchange

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

const vectorsFile = "testdata/vectors.json"

// vectors is the file's form; testdata/README.md says what each member is.
type vectors struct {
	Alphabet      string         `json:"alphabet"`
	CRCPolynomial string         `json:"crc32_polynomial_reversed"`
	Labels        map[string]any `json:"labels"`
	SizeClasses   []int          `json:"size_classes"`
	References    []vector       `json:"references"`
}

type vector struct {
	Prefix        string            `json:"prefix"`
	StampKey      string            `json:"stamp_key_hex"`
	RandomBytes   string            `json:"random_bytes_hex"`
	Random        string            `json:"random"`
	UnixMinute    uint64            `json:"unix_minute"`
	TagInput      string            `json:"tag_input_hex"`
	Reference     string            `json:"reference"`
	JTI           string            `json:"jti"`
	StampKeyID    string            `json:"stamp_key_id"`
	Pepper        string            `json:"pepper_hex"`
	SealKey       string            `json:"seal_key_hex"`
	ExpiresAt     int64             `json:"expires_at"`
	Nonce         string            `json:"nonce_hex"`
	AssociateData string            `json:"associated_data_hex"`
	Manifest      string            `json:"manifest"`
	Tokens        map[string]string `json:"tokens"`
	Contents      string            `json:"contents_hex"`
	Blob          string            `json:"blob_hex"`
}

// TestVectorsAreFresh holds the code to the published file: whoever changes what the code writes has changed a format
// that other processes, and other implementations, read.
func TestVectorsAreFresh(t *testing.T) {
	t.Parallel()
	text, err := json.MarshalIndent(makeVectors(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(vectorsFile, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	published, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(published), string(text)); diff != "" {
		t.Errorf("%s is not what the code does; if the format was meant to change, run go test ./exchange -update (-file +code):\n%s", vectorsFile, diff)
	}
}

func makeVectors(t *testing.T) vectors {
	v := vectors{
		Alphabet:      alphabet,
		CRCPolynomial: "edb88320",
		Labels: map[string]any{
			"tag": stampLabel, "jti": jtiLabel, "seal_key": sealLabel, "pepper": pepperLabel, "stamp_key_id": stampIDLabel,
		},
		References: []vector{
			makeVector(t, "cck", 0x00, 29_000_000, map[string]string{"orders-api": "header.orders.signature"}),
			makeVector(t, "acme2", 0xa8, 31_536_001, map[string]string{
				"orders-api": "header.orders.signature", "billing-api": "header.billing.signature", "Z": "z.z.z",
			}),
		},
	}
	for n := 1; n <= MaxRecord; n = v.SizeClasses[len(v.SizeClasses)-1] + 1 {
		v.SizeClasses = append(v.SizeClasses, sizeClass(n))
	}
	return v
}

// makeVector takes keys and randomness as runs of bytes that count up from first. From 0xa8 the run passes 0xbe and
// 0xbf, whose low six bits are no character.
func makeVector(t *testing.T, prefix string, first byte, minute uint64, tokens map[string]string) vector {
	t.Helper()
	run := func(n int) []byte {
		out := make([]byte, n)
		for i := range out {
			out[i] = first + byte(i)
		}
		return out
	}
	s, err := NewStamper(prefix, time.Hour, run(stampKeySize))
	if err != nil {
		t.Fatal(err)
	}
	source := string(run(64))
	random := randomPart(strings.NewReader(source + source))
	r := s.stamp(random, minute)
	signed := []byte(r.Reveal()[len(s.prefix) : len(s.prefix)+randomSize+minuteSize])
	c := contents{manifest: "header.manifest.signature", tokens: map[string]Token{}}
	for audience, token := range tokens {
		c.tokens[audience] = NewToken(token)
	}
	expires := time.Unix(int64(minute)*60+600, 0)
	nonce := [12]byte(run(12))
	blob, err := s.sealWith(r, r.JTI(), c, expires, nonce)
	if err != nil {
		t.Fatal(err)
	}
	written, err := c.appendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	return vector{
		Prefix:        prefix,
		StampKey:      hex.EncodeToString(run(stampKeySize)),
		RandomBytes:   hex.EncodeToString([]byte(source)),
		Random:        string(random[:]),
		UnixMinute:    minute,
		TagInput:      hex.EncodeToString(s.tagInput(nil, signed)),
		Reference:     r.Reveal(),
		JTI:           r.JTI(),
		StampKeyID:    s.KeyIDs()[0],
		Pepper:        hex.EncodeToString(s.keys.all()[0].pepper),
		SealKey:       hex.EncodeToString(r.sealKey(s.keys.all()[0].pepper)),
		ExpiresAt:     expires.Unix(),
		Nonce:         hex.EncodeToString(nonce[:]),
		AssociateData: hex.EncodeToString(associated(blob, r.JTI())),
		Manifest:      c.manifest,
		Tokens:        tokens,
		Contents:      hex.EncodeToString(written),
		Blob:          hex.EncodeToString(blob),
	}
}

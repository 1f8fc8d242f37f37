package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// piece is how much of a secret counts as the secret: 16 characters of a reference are 95 bits of it.
const piece = 16

// needles find pieces of secrets in any of the forms in which they might have been written down.
type needles struct {
	pieces map[[piece]byte]string // piece → what it is a piece of
}

func newNeedles() *needles { return &needles{pieces: map[[piece]byte]string{}} }

// add takes a secret of at least piece characters, in every form.
func (n *needles) add(name, secret string) {
	for form, text := range forms(secret) {
		for i := 0; i+piece <= len(text); i++ {
			n.pieces[[piece]byte([]byte(text[i:i+piece]))] = name + " (" + form + ")"
		}
	}
}

// forms are the encodings of a secret. Base64 comes in three alignments: the secret may be part of something longer.
func forms(secret string) map[string]string {
	var percent strings.Builder
	for _, c := range []byte(secret) {
		fmt.Fprintf(&percent, "%%%02X", c)
	}
	out := map[string]string{
		"plain": secret, "percent": percent.String(), "percent, lower": strings.ToLower(percent.String()),
		"query": url.QueryEscape(secret), "hex": hex.EncodeToString([]byte(secret)),
		"HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))), "lower": strings.ToLower(secret), "upper": strings.ToUpper(secret),
	}
	for shift := range 3 {
		padded := append(make([]byte, shift), secret...)
		padded = padded[:len(padded)/3*3] // whole groups only: what follows may differ
		skip := (shift*8 + 5) / 6         // characters that the bytes before have a part in
		std := base64.StdEncoding.EncodeToString(padded)[skip:]
		out[fmt.Sprintf("base64, shifted by %d", shift)] = std
		out[fmt.Sprintf("base64url, shifted by %d", shift)] = strings.NewReplacer("+", "-", "/", "_").Replace(std)
	}
	return out
}

// in lists what was found in data, each once, with some of what stands around it.
func (n *needles) in(data string) []string {
	found := map[string]string{}
	for i := 0; i+piece <= len(data); i++ {
		if name, ok := n.pieces[[piece]byte([]byte(data[i:i+piece]))]; ok && found[name] == "" {
			found[name] = fmt.Sprintf("%s: …%q…", name, data[max(0, i-60):min(len(data), i+piece+20)])
		}
	}
	var out []string
	for _, f := range found {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

// TestNeedlesFindWhatIsPlanted: the search of the canary run must be able to fail.
func TestNeedlesFindWhatIsPlanted(t *testing.T) {
	t.Parallel()
	const secret = "cck_9fQ2LmZ7wXr4TnB8vKc1HsJd6PyG3aEo0UiR5tqW"
	n := newNeedles()
	n.add("planted", secret)
	for form, text := range forms(secret) {
		part := text[len(text)/3 : len(text)/3+piece]
		if got := n.in("noise before " + part + " noise after"); len(got) == 0 {
			t.Errorf("%s: %d characters %q were not found", form, piece, part)
		}
	}
	for shift := range 4 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret + "tail"))
		if got := n.in(text); len(got) == 0 {
			t.Errorf("base64 of something longer, %d bytes before it, was not found: %s", shift, text)
		}
	}
	if got := n.in("an ordinary line of a log with jti 5f0c6f2d9a8b4e1c7d3f6a5b4c3d2e1f and cck_ and nothing else"); len(got) > 0 {
		t.Errorf("found where nothing was: %v", got)
	}
}

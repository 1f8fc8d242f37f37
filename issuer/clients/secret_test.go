package clients

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const (
	generated = "shop-secret-0123456789abcdef"
	chosen    = "a person chose this"
)

func TestParseSecretHash(t *testing.T) {
	t.Parallel()
	digest := sha256.Sum256([]byte(generated))
	sum := hex.EncodeToString(digest[:])
	const salt, key = "c2FsdHNhbHRzYWx0", "Cem/Ex6wwros8pCr1YzTTF88mGUB15mME37M0XebkAg"
	for _, row := range []struct{ name, in, secret string }{
		{"sha256", "sha256:" + sum, generated},
		{"sha256 in capitals", "sha256:" + strings.ToUpper(sum), generated},
		{"argon2id", "$argon2id$v=19$m=7168,t=5,p=1$" + salt + "$" + key, chosen},
	} {
		h, err := ParseSecretHash(row.in)
		if err != nil || !h.Matches(hide(row.secret)) || h.Matches(hide(row.secret+"x")) || h.Matches(nil) {
			t.Errorf("%s: does not match its secret and nothing else (%v)", row.name, err)
		}
	}
	for name, in := range map[string]string{
		"empty":                  "",
		"the secret itself":      generated,
		"sha256 too short":       "sha256:" + sum[2:],
		"sha256 not hex":         "sha256:" + strings.Repeat("g", 64),
		"md5":                    "md5:" + sum[:32],
		"bcrypt":                 "$2y$10$abcdefghijklmnopqrstuu",
		"argon2i":                "$argon2i$v=19$m=7168,t=5,p=1$" + salt + "$" + key,
		"argon2id of a new kind": "$argon2id$v=20$m=7168,t=5,p=1$" + salt + "$" + key,
		"argon2id no passes":     "$argon2id$v=19$m=47104,t=0,p=1$" + salt + "$" + key,
		"argon2id no lanes":      "$argon2id$v=19$m=7168,t=5,p=0$" + salt + "$" + key,
		"argon2id no memory":     "$argon2id$v=19$m=0,t=5,p=1$" + salt + "$" + key,
		"argon2id all memory":    "$argon2id$v=19$m=4194304,t=1,p=1$" + salt + "$" + key,
		"argon2id for ever":      "$argon2id$v=19$m=7168,t=4000000,p=1$" + salt + "$" + key,
		"argon2id no salt":       "$argon2id$v=19$m=7168,t=5,p=1$$" + key,
		"argon2id short key":     "$argon2id$v=19$m=7168,t=5,p=1$" + salt + "$AAAA",
		"argon2id cut":           "$argon2id$v=19$m=7168,t=5,p=1$" + salt,
	} {
		_, err := ParseSecretHash(in)
		if err == nil {
			t.Errorf("%s: %q was accepted", name, in)
		} else if in != "" && strings.Contains(err.Error(), in) {
			t.Errorf("%s: the error quotes what may be a secret: %v", name, err)
		}
	}
}

// The least memory falls as the passes rise: OWASP's table, and one KiB less than each of its lines.
func TestArgonMinimumIsOWASPs(t *testing.T) {
	t.Parallel()
	for passes, memory := range map[int]int{1: 47104, 2: 19456, 3: 12288, 4: 9216, 5: 7168, argonMaxPasses: 7168} {
		hash := func(m int) string {
			return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$c2FsdHNhbHRzYWx0$Cem/Ex6wwros8pCr1YzTTF88mGUB15mME37M0XebkAg", m, passes)
		}
		if _, err := ParseSecretHash(hash(memory)); err != nil {
			t.Errorf("t=%d, m=%d: %v, want it accepted", passes, memory, err)
		}
		if _, err := ParseSecretHash(hash(memory - 1)); err == nil || !strings.Contains(err.Error(), "m=19456,t=2,p=1") {
			t.Errorf("t=%d, m=%d: %v, want it refused, with the mend", passes, memory-1, err)
		}
	}
}

func TestHashSecretRefusesWhatWasNotGenerated(t *testing.T) {
	t.Parallel()
	_, err := HashSecret("hunter2")
	if err == nil || !strings.Contains(err.Error(), "openssl rand") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("HashSecret(7 bytes) = %v, want an error that names the mend and not the secret", err)
	}
	if _, err := HashSecret(strings.Repeat("x", minSecret)); err != nil {
		t.Errorf("HashSecret(%d bytes) = %v, want it accepted", minSecret, err)
	}
}

// A hash does not show itself, by whatever verb or encoder it is printed, from however deep inside.
func TestHashesCannotBePrinted(t *testing.T) {
	t.Parallel()
	hash, err := HashSecret(generated)
	if err != nil {
		t.Fatal(err)
	}
	sum := hash.hash().sum
	secrets := []string{generated, hex.EncodeToString([]byte(generated)), hex.EncodeToString(sum[:]), strings.Trim(fmt.Sprint(sum[:6]), "[]")}
	inside := struct {
		a SecretHash
		b *Known
	}{hash, &Known{Client: Client{Secret: hash}}}
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for _, v := range []any{hash, &hash, inside, &inside, *inside.b, hide(generated)} {
		shown := fmt.Sprintf("%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v)
		if text, err := json.Marshal(v); err == nil {
			shown += string(text)
		}
		logger.LogAttrs(t.Context(), slog.LevelInfo, "x", slog.Any("v", v))
		for _, s := range secrets {
			if strings.Contains(shown+log.String(), s) {
				t.Errorf("%T shows %q", v, s)
			}
		}
	}
	if text, err := json.Marshal(hash); err == nil {
		t.Errorf("a hash was marshalled to %s", text)
	}
}

package configs_test

import (
	"crypto/sha256"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/google/go-cmp/cmp"
)

// TestRevocationIsBuilt: what the file says, in the words of the room; what it leaves out is the room's to choose.
func TestRevocationIsBuilt(t *testing.T) {
	t.Parallel()
	redis := strings.Replace(whole, "store: memory", `store: {redis: {url: "redis://127.0.0.1:6379"}}`, 1)
	for _, c := range []struct {
		name, text string
		vars       map[string]string
		want       revocation.RevokerConfig
		journal    string // its last part; relative paths are beside the file
		grace      time.Duration
	}{
		{"memory, nothing said", whole, nil, revocation.RevokerConfig{Issuer: "issuer-1", Issuers: []string{"issuer-1"}}, "", 0},
		{
			"the one issuer needs no name", redis + "revocation: {journal: journal, issuers: [west], lease: 250ms, stream_grace: 2s}\n", nil,
			revocation.RevokerConfig{Issuer: "west", Issuers: []string{"west"}, Lease: 250 * time.Millisecond},
			"/journal", 2 * time.Second,
		},
		{
			"one file for two issuers", redis + "revocation: {journal: a.journal, issuers: [a, b], name: a, replicas: 1, missing_after: 1m}\n",
			map[string]string{"COATCHECK_REVOCATION_NAME": "b", "COATCHECK_REVOCATION_JOURNAL": "b.journal"},
			revocation.RevokerConfig{Issuer: "b", Issuers: []string{"a", "b"}, Replicas: 1, Missing: time.Minute},
			"/b.journal", 0,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := loadText(t, secrets(t), c.text, configs.RoleAll, c.vars)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, l.Revoker); diff != "" {
				t.Errorf("Revoker (-want +got):\n%s", diff)
			}
			if !strings.HasSuffix(l.Journal, c.journal) || (l.Journal == "") != (c.journal == "") || l.Journal != "" && !filepath.IsAbs(l.Journal) {
				t.Errorf("Journal %q, want the absolute path of %q", l.Journal, c.journal)
			}
			if l.Follower.StreamGrace != c.grace {
				t.Errorf("StreamGrace %v, want %v", l.Follower.StreamGrace, c.grace)
			}
		})
	}
}

// TestAnEdgeNeedsNoJournal, no name and no operators: they are the issuer's.
func TestAnEdgeNeedsNoJournal(t *testing.T) {
	t.Parallel()
	text := strings.Replace(whole, "store: memory", `store: {redis: {url: "redis://127.0.0.1:6379"}}`, 1) +
		"revocation: {issuers: [a, b], stream_grace: 1s}\n" +
		"admin: {tokens: {ops: {token: \"${env:NOT_HERE}\", scopes: [\"tokens:read\"]}}}\n"
	l, err := loadText(t, secrets(t), text, configs.RoleGateway, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.Revoker != nil || l.AdminTokens != nil || l.Listen.Admin != "" || l.Follower.StreamGrace != time.Second {
		t.Errorf("an edge has revoker %v, %d admin tokens, admin listener %q, grace %v; want none of the issuer's", l.Revoker, len(l.AdminTokens), l.Listen.Admin, l.Follower.StreamGrace)
	}
}

// TestAdminTokens come from a file, a variable or a hash, and only with them is there a listener.
func TestAdminTokens(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	sum := sha256.Sum256([]byte(secret))
	text := withSection("listen", "admin: run/admin.sock") + `admin:
  tokens:
    a: {token_hash: "sha256:be9d587d4a5c1d5fa2fc3d6b8a94e8ba1da60c54bd4e9e8de05b2c2f4bd8f8f4", scopes: ["tokens:read"]}
    b: {token: "${env:ADMIN}", scopes: ["tokens:read", "tokens:revoke"]}
    c: {token_file: "${env:SECRETS}/coatcheck_admin", scopes: ["tokens:revoke"]}
`
	l, err := loadText(t, secrets(t), text, configs.RoleAll, map[string]string{"ADMIN": secret})
	if err != nil || len(l.Warnings) > 0 {
		t.Fatalf("Load: %v, %v", err, l.Warnings)
	}
	if len(l.AdminTokens) != 3 || l.AdminTokens[0].SHA256[0] != 0xbe || l.AdminTokens[1].SHA256 != sum || l.AdminTokens[2].SHA256 == sum {
		t.Errorf("admin tokens %+v: want a's hash as written, b's of its value, c's of its file", l.AdminTokens)
	}
	if diff := cmp.Diff([]string{"tokens:read", "tokens:revoke"}, l.AdminTokens[1].Scopes); diff != "" {
		t.Errorf("scopes of b (-want +got):\n%s", diff)
	}
	if !filepath.IsAbs(l.Listen.Admin) || !strings.HasSuffix(l.Listen.Admin, "/run/admin.sock") {
		t.Errorf("listen.admin %q, want the absolute path of the socket", l.Listen.Admin)
	}
}

// TestAnAdminListenerThatNobodyMayUseIsNotOpened: it loads, because one without the other lets nobody in, and is told.
func TestAnAdminListenerThatNobodyMayUseIsNotOpened(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		withSection("listen", `admin: "127.0.0.1:8083"`):                                                            "listen.admin is not opened",
		whole + "admin: {tokens: {ops: {token_file: \"${env:SECRETS}/coatcheck_admin\", scopes: [tokens:read]}}}\n": "admin.tokens has no effect",
	} {
		l, err := loadText(t, secrets(t), text, configs.RoleAll, nil)
		if err != nil || len(l.Warnings) != 1 || !strings.HasPrefix(l.Warnings[0].What, want) || l.Listen.Admin != "" {
			t.Errorf("Load: %v, warnings %v, listener %q; want the warning %q and no listener for\n%s", err, l.Warnings, l.Listen.Admin, want, text)
		}
	}
}

// TestRevocationsOfAClient reach the issuer, with five seconds' worth at once.
func TestRevocationsOfAClient(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]float64{
		"": {0, 0}, "limits: {revocations: 2/s}\n": {2, 10}, "limits: {revocations: 6/m}\n": {0.1, 1},
	} {
		l, err := loadText(t, secrets(t), whole+text, configs.RoleAll, nil)
		if err != nil || l.Issuer.RevokeRate != want[0] || float64(l.Issuer.RevokeBurst) != want[1] {
			t.Errorf("%q: %v, %v a second, %d at once; want %v", text, err, l.Issuer.RevokeRate, l.Issuer.RevokeBurst, want)
		}
	}
}

// TestFreshness reaches the route.
func TestFreshness(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"": false, ", freshness: leased": false, ", freshness: strict": true} {
		text := strings.Replace(whole, `scopes: ["orders:read"]}`+"\nclients", `scopes: ["orders:read"]`+value+"}\nclients", 1)
		l, err := loadText(t, secrets(t), text, configs.RoleAll, nil)
		if err != nil {
			t.Fatal(err)
		}
		route, found := l.Gateway.Table.Match("GET", "api", "/orders/1")
		if route == nil || route.Strict != want {
			t.Errorf("a route with %q: %+v, %v; want strict=%v", value, route, found, want)
		}
	}
}

package configs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/issuer"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
)

// TestARoleOpensOnlyItsSecrets: the files of the other half are not even there.
func TestARoleOpensOnlyItsSecrets(t *testing.T) {
	t.Parallel()
	text := strings.Replace(whole, "store: memory", `store: {redis: {url: "redis://127.0.0.1:6379", password_file: "${env:SECRETS}/redis_password"}}`, 1) +
		"  other:\n    secret: ${env:OTHER_SECRET}\n    grant_types: [client_credentials]\n    audiences: {orders-api: []}\n    ttl: \"${file:no-such-file}\"\n" +
		"revocation: {journal: journal}\n" +
		"admin: {tokens: {ops: {token_file: \"${env:SECRETS}/coatcheck_admin\", scopes: [\"tokens:read\"]}}}\n"
	for _, c := range []struct {
		role    configs.Role
		missing []string
		loads   bool
	}{
		{configs.RoleGateway, []string{"kek", "shop", "coatcheck_admin"}, true},
		{configs.RoleGateway, []string{"stamp"}, false},
		{configs.RoleGateway, []string{"redis_password"}, false},
		{configs.RoleIssuer, []string{"kek"}, false},
		{configs.RoleIssuer, []string{"shop"}, false},
		{configs.RoleIssuer, []string{"coatcheck_admin"}, false},
	} {
		t.Run(fmt.Sprintf("%s without %v", c.role, c.missing), func(t *testing.T) {
			t.Parallel()
			dir := secrets(t)
			for _, file := range c.missing {
				if err := os.Remove(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := loadText(t, dir, text, c.role, nil)
			if (err == nil) != c.loads {
				t.Errorf("role %s without %v: %v, want loads=%v", c.role, c.missing, err, c.loads)
			}
		})
	}
}

// TestTheGroupMayReadASecret, and nobody else; nor may the group write.
func TestTheGroupMayReadASecret(t *testing.T) {
	t.Parallel()
	for mode, ok := range map[os.FileMode]bool{0o400: true, 0o600: true, 0o440: true, 0o640: true, 0o660: false, 0o644: false, 0o604: false, 0o602: false} {
		dir := secrets(t)
		if err := os.Chmod(filepath.Join(dir, "stamp"), mode); err != nil {
			t.Fatal(err)
		}
		_, err := loadText(t, dir, whole, configs.RoleAll, nil)
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %04o: %v, want ok=%v, or a fault that says chmod 600", mode, err, ok)
		}
	}
}

func TestARotatedRedisPasswordIsReadAnew(t *testing.T) {
	t.Parallel()
	dir := secrets(t)
	file := filepath.Join(dir, "redis_password")
	text := strings.Replace(whole, "store: memory", `store: {redis: {url: "redis://127.0.0.1:6379/3", password_file: "${env:SECRETS}/redis_password"}}`, 1)
	l, err := loadText(t, dir, text, configs.RoleGateway, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"redis-password", "the next one"} {
		write(t, file, want+"\r\n")
		if got, err := l.Store.Redis.Password(); got != want || err != nil {
			t.Errorf("Password() = %q, %v; want %q", got, err, want)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Store.Redis.Password(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "store.redis.password_file") {
		t.Errorf("Password() without its file: %v, want os.ErrNotExist that names the key", err)
	}
	if l.Store.Redis.Addr != "127.0.0.1:6379" || l.Store.Redis.DB != 3 {
		t.Errorf("Redis at %s, database %d; want 127.0.0.1:6379, 3", l.Store.Redis.Addr, l.Store.Redis.DB)
	}
}

// TestNothingLoadedPrintsASecret: every secret is a canary, and every verb is tried on every part.
func TestNothingLoadedPrintsASecret(t *testing.T) {
	t.Parallel()
	l, err := sample(t, "coatcheck.example.yaml", configs.RoleAll)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, part := range []any{l, *l, l.Store, l.Store.Redis, *l.Gateway, *l.Exchange, *l.Issuer, l.Issuer.Clients, l.Issuer.Sealing, l.Stamper, l.Telemetry, l.Warnings, l.TLS} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&out, verb, part)
		}
	}
	// As text, as hex and as lists of numbers; the keys are letters repeated.
	for _, canary := range []string{
		"client-secret", "redis-password", key("k"), key("s"), key("l"), strings.Repeat("k", 8), strings.Repeat("s", 8),
		"6b6b6b6b", "73737373", "107 107 107", "115 115 115", "0x6b, 0x6b", "0x73, 0x73", "636c69656e742d736563726574", "PRIVATE KEY",
	} {
		if strings.Contains(out.String(), canary) {
			t.Errorf("printing the configuration shows %q", canary)
		}
	}
}

// TestWhatLoadsBuilds: the rooms accept what the checks let through.
func TestWhatLoadsBuilds(t *testing.T) {
	t.Parallel()
	for file := range samples {
		l, err := sample(t, file, configs.RoleAll)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := build(l); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if l.Store.Memory {
			continue
		}
		r, err := store.NewRedis(l.Store.Redis)
		if err != nil {
			t.Errorf("%s: store.NewRedis: %v", file, err)
			continue
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// build makes the rooms as the door does, on a store in memory.
func build(l *configs.Loaded) error {
	m := store.NewMemory()
	l.Follower.Log = m
	follower, err := revocation.NewFollower(l.Follower)
	if err != nil {
		return err
	}
	l.Revoker.Shards, l.Revoker.Journal = m, revocation.NewVolatileJournal()
	revoker, err := revocation.NewRevoker(*l.Revoker)
	if err != nil {
		return err
	}
	l.Exchange.Records, l.Exchange.Log, l.Exchange.Keys = m, follower, verifier.StaticKeys{}
	swap, err := exchange.New(*l.Exchange)
	if err != nil {
		return err
	}
	l.Issuer.State, l.Issuer.Depositor = m, exchange.NewDepositor(l.Stamper, m, follower)
	l.Issuer.Revoker, l.Issuer.Grants, l.Issuer.Listing = revoker, swap, m
	_, err = issuer.New(*l.Issuer)
	return err
}

// TestASecretPipeDoesNotHangTheStart: a fault, at once.
func TestASecretPipeDoesNotHangTheStart(t *testing.T) {
	t.Parallel()
	dir := secrets(t)
	pipe := filepath.Join(dir, "stamp")
	if err := os.Remove(pipe); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := loadText(t, dir, whole, configs.RoleAll, nil)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("a pipe as a key file: %v, want a fault", err)
		}
	case <-ctx.Done():
		t.Fatal("Load waits for somebody to write into the pipe")
	}
}

// TestAMissingSecretFileSaysHowToMakeIt: with the place where it was looked for. The commands work when pasted.
func TestAMissingSecretFileSaysHowToMakeIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "coatcheck.yaml")
	write(t, path, strings.NewReplacer("${env:SECRETS}/stamp", "no-stamp", "${env:SECRETS}/shop", "secrets/no-shop").Replace(whole))
	lookup := env(map[string]string{"SECRETS": secrets(t)})
	_, err := configs.Load(path, configs.RoleAll, lookup)
	if err == nil {
		t.Fatal("loads without its secrets")
	}
	mends := regexp.MustCompile("looked for it at (/\\S+); make it with `(.*)`").FindAllStringSubmatch(err.Error(), -1)
	if len(mends) != 2 {
		t.Fatalf("%d places with a command, want 2 in\n%v", len(mends), err)
	}
	for _, mend := range mends {
		if out, err := exec.CommandContext(t.Context(), "sh", "-e", "-c", mend[2]).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", mend[2], err, out)
		}
	}
	if l, err := configs.Load(path, configs.RoleAll, lookup); err != nil || len(l.Warnings) > 0 {
		t.Errorf("after the commands: %v, %v; want neither fault nor warning", err, l.Warnings)
	}
}

// TestNoKeyBothStampsAndSeals: edges hold the stamp keys. An edge alone has no other key to compare.
func TestNoKeyBothStampsAndSeals(t *testing.T) {
	t.Parallel()
	text := strings.Replace(whole, "store: memory", `store: {redis: {url: "redis://127.0.0.1:6379"}}`, 1)
	for role, loads := range map[configs.Role]bool{configs.RoleAll: false, configs.RoleIssuer: false, configs.RoleGateway: true} {
		dir := secrets(t)
		write(t, filepath.Join(dir, "stamp"), key("a")+"\n"+key("b")+"\n")
		write(t, filepath.Join(dir, "kek"), key("c")+"\n"+key("b")+"\n")
		_, err := loadText(t, dir, text, role, nil)
		if (err == nil) != loads || !loads && !strings.Contains(err.Error(), "keys.encryption_key_file: key 2 is a stamp key") {
			t.Errorf("role %s with one key in both files: %v, want loads=%v", role, err, loads)
		}
	}
}

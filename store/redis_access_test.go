package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// What the package's documentation says that each role needs.
const (
	edgeRules = "%R~coatcheck:* resetchannels +hello +select +ping +info +time +evalsha_ro +eval_ro +exists +hget +hmget +hstrlen +xrange" +
		" (%W~coatcheck:{0}:seen +hset)"
	issuerRules = edgeRules + " ~coatcheck:* +evalsha +eval +wait +hgetall +hset +hincrby +hdel +del +set +expireat +scan +xadd +xdel"
)

func as(t *testing.T, server *storetest.Redis, user, rules string) *store.Redis {
	t.Helper()
	server.Do(append([]string{"ACL", "SETUSER", user, "on", ">secret"}, strings.Fields(rules)...)...)
	return connect(t, server, func(c *store.RedisConfig) {
		c.Username, c.DB, c.Password = user, 1, func() (string, error) { return "secret", nil }
	})
}

// The documented permissions suffice for each role, and an edge can change nothing.
func TestRedisPermissions(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	issuer, edge := as(t, server, "issuer", issuerRules), as(t, server, "edge", edgeRules)
	r := put(t, issuer)
	if err := issuer.SwapState(t.Context(), "ring", 0, []byte("x")); err != nil {
		t.Errorf("issuer: swap state: %v", err)
	}
	for role, s := range map[string]*store.Redis{"issuer": issuer, "edge": edge} {
		if _, err := s.Take(t.Context(), r.JTI); err != nil {
			t.Errorf("%s: take: %v", role, err)
		}
		if _, _, err := s.State(t.Context(), "ring"); err != nil {
			t.Errorf("%s: state: %v", role, err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Errorf("%s: check: %v", role, err)
		}
	}
	_, deleteErr := edge.Delete(t.Context(), r.JTI)
	for what, err := range map[string]error{
		"put":    edge.Put(t.Context(), storetest.NewRecord(), store.Quota{}),
		"delete": deleteErr,
		"swap":   edge.SwapState(t.Context(), "ring", 1, []byte("y")),
	} {
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "mend: give this ACL user") {
			t.Errorf("edge: %s: got %v, want ErrUnavailable with the mend", what, err)
		}
	}
	q := store.Quota{Grants: 1}
	if there, err := issuer.Delete(t.Context(), r.JTI); !there || err != nil || issuer.Put(t.Context(), storetest.NewRecord(), q) != nil {
		t.Errorf("issuer: delete: got %v, %v, want true, and the quota given back", there, err)
	}
}

// The password is asked for with each connection, so that a rotated one is used without a restart; a wrong one
// names the mend and nothing else.
func TestRedisPasswordRotates(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	server.Do("ACL", "SETUSER", "app", "on", ">CANARY-one", "allkeys", "allcommands")
	var password atomic.Pointer[string]
	set := func(p string) { password.Store(&p) }
	set("CANARY-one")
	s := connect(t, server, func(c *store.RedisConfig) {
		c.Username, c.Password = "app", func() (string, error) {
			if p := *password.Load(); p != "" {
				return p, nil
			}
			return "", errors.New("read /run/secrets/redis: no such file")
		}
	})
	r := put(t, s)
	server.Do("ACL", "SETUSER", "app", "resetpass", ">CANARY-two")
	for _, row := range []struct{ password, mend string }{
		{"CANARY-one", "mend: check user name and password"},
		{"", "read /run/secrets/redis: no such file"},
	} {
		set(row.password)
		server.Do("CLIENT", "KILL", "USER", "app")
		wantUnavailable(t, s, r, row.mend)
		if _, err := s.Take(t.Context(), r.JTI); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("take: got %v, want an error without the password", err)
		}
	}
	set("CANARY-two")
	if _, err := s.Take(t.Context(), r.JTI); err != nil {
		t.Errorf("take with the new password: %v", err)
	}
}

func TestRedisPrintsNoSecret(t *testing.T) {
	t.Parallel()
	secret := "CANARY"
	c := store.RedisConfig{Addr: "127.0.0.1:1", Password: func() (string, error) { return secret, nil }}
	s, err := store.NewRedis(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, v := range []any{c, &c, s, *s} {
			if got := fmt.Sprintf(format, v); strings.Contains(got, secret) {
				t.Errorf("%s of %T: got %s", format, v, got)
			}
		}
	}
}

func TestNewRedisRefusesByName(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]store.RedisConfig{
		"address must be host:port":    {},
		"address must be host:port ":   {Addr: "localhost"},
		"address must be host:port  ":  {Addr: ":6379"},
		"db must not be negative":      {Addr: "localhost:6379", DB: -1},
		"timeout must not be negative": {Addr: "localhost:6379", Timeout: -1},
		"prefix has a byte outside":    {Addr: "localhost:6379", Prefix: "a{b}"},
	} {
		if _, err := store.NewRedis(c); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%+v: got %v, want %q", c, err, want)
		}
	}
}

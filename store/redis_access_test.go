package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// What the package's documentation says that each role needs.
const (
	edgeRules = "%R~coatcheck:* resetchannels +hello +select +ping +info +time +evalsha_ro +eval_ro +exists +hget +hmget +hstrlen +xrange" +
		" (%W~coatcheck:{0}:seen +hset)"
	issuerRules = edgeRules + " ~coatcheck:* +evalsha +eval +wait +hgetall +hset +hdel +del +set +expireat +scan +xadd +xdel +zadd +zrange"
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
	if p := edge.Pull(t.Context(), make([]store.Position, 1), "edge-1")[0]; p.Err != nil || !p.Flush {
		t.Errorf("edge: pull: got %+v, want a flush", p)
	}
	if seen, err := issuer.Seen(t.Context()); err != nil || len(seen) != 1 {
		t.Errorf("issuer: seen: got %v, %v, want the edge", seen, err)
	}
	forbidden(t, server, "edge")
	issuerDoes(t, issuer)
	_, revokeErr := edge.Revoke(t.Context(), 0, author, "", number(1, store.KindClient, "c"), 0)
	for what, err := range map[string]error{
		"put":    edge.Put(t.Context(), storetest.NewRecord(), store.Quota{}),
		"revoke": revokeErr,
		"enrol":  edge.Enrol(t.Context(), 0, author, ""),
		"swap":   edge.SwapState(t.Context(), "ring", 1, []byte("y")),
	} {
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "mend: give this ACL user") {
			t.Errorf("edge: %s: got %v, want ErrUnavailable with the mend", what, err)
		}
	}
	if !storetest.Revoke(t, issuer, r.JTI) || issuer.Put(t.Context(), storetest.NewRecord(), store.Quota{Bytes: int64(len(r.Blob))}) != nil {
		t.Error("issuer: revoke: want the record found, and its bytes given back")
	}
}

// forbidden asks Redis about what would let an edge undo a revocation.
func forbidden(t *testing.T, server *storetest.Redis, user string) {
	t.Helper()
	for _, command := range []string{
		"HSET coatcheck:{0}:head seq 1", "HSET coatcheck:{0}:floors all 0", "HSET coatcheck:{0}:journals a b", "HSET coatcheck:{0}:votes a b",
		"HSET coatcheck:{0}:record:x v 1", "XADD coatcheck:{0}:log * e x", "DEL coatcheck:{0}:seen", "HDEL coatcheck:{0}:seen edge-2", "KEYS *",
	} {
		args := append([]string{"ACL", "DRYRUN", user}, strings.Fields(command)...)
		if got := server.Do(args...); got == "OK" {
			t.Errorf("the edge may %s", command)
		}
	}
	if got := server.Do("ACL", "DRYRUN", user, "HSET", "coatcheck:{0}:seen", "edge-1", "x"); got != "OK" {
		t.Errorf("the edge may not tell of itself: %v", got)
	}
}

// issuerDoes does what only issuers do.
func issuerDoes(t *testing.T, s *store.Redis) {
	t.Helper()
	enrol(t, s)
	r := put(t, s)
	errs := map[string]error{"set lease": s.SetLease(t.Context(), 0, leaseID(t, s), storetest.Lease, storetest.Lease)}
	later := time.Now().Add(time.Minute)
	errs["once"] = storetest.Taken(s.Once(t.Context(), "x", later, later))
	errs["swap register"] = s.SwapRegister(t.Context(), "clients", 0,
		store.RegisterWrite{Version: 1, Blob: []byte("x"), Entries: []store.Sealed{{Key: "k", Version: 1, Blob: []byte("x")}}, Whole: true})
	_, errs["register"] = s.Register(t.Context(), "clients", 0)
	_, errs["inspect"] = s.Inspect(t.Context(), r.JTI)
	_, _, errs["list"] = s.List(t.Context(), 0, 0, 10)
	_, errs["revoke token"] = s.Revoke(t.Context(), 0, author, "", number(1, store.KindToken, r.JTI), 0)
	_, errs["revoke key"] = s.Revoke(t.Context(), 0, author, "", number(2, store.KindKey, "k"), 0)
	_, errs["revoke client"] = s.Revoke(t.Context(), 0, author, "", number(3, store.KindClient, "c"), 0)
	for what, err := range errs {
		if err != nil {
			t.Errorf("issuer: %s: %v", what, err)
		}
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

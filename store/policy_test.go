package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// wantViolations compares what Check found, by the beginning of each.
func wantViolations(t *testing.T, err error, want ...string) {
	t.Helper()
	var policy *store.PolicyError
	if !errors.As(err, &policy) {
		t.Fatalf("check: got %v, want a *PolicyError", err)
	}
	if len(policy.Violations) != len(want) {
		t.Fatalf("check: got %q, want %q", policy.Violations, want)
	}
	for i, v := range policy.Violations {
		if !strings.HasPrefix(v.What, want[i]) || v.Mend == "" || !strings.Contains(err.Error(), v.Mend) {
			t.Errorf("check: got %q, mend %q, in %q; want %q with its mend", v.What, v.Mend, err, want[i])
		}
	}
}

func TestCheckRefusesEveryEvictingPolicy(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := connect(t, server)
	for _, p := range []string{"allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"} {
		server.Do("CONFIG", "SET", "maxmemory-policy", p)
		wantViolations(t, s.Check(t.Context()), `maxmemory-policy is "`+p+`"`)
	}
	server.Do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("check with noeviction: %v", err)
	}
}

func TestCheckNamesAllViolationsAtOnce(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t, "--maxmemory-policy", "allkeys-lru")
	server.Do("REPLICAOF", "127.0.0.1", "1")
	s := connect(t, server)
	s.SetNow(func() time.Time { return time.Now().Add(75 * time.Second) }) // 1m15s, less what the answer takes
	wantViolations(t, s.Check(t.Context()), "maxmemory-policy", `role is "slave"`, "clock of Redis differs from ours by 1m1")
}

func TestCheckComparesClocksBothWays(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := connect(t, server)
	for _, off := range []time.Duration{-time.Hour, -3 * time.Second, 0, 3 * time.Second, time.Hour} {
		s.SetNow(func() time.Time { return time.Now().Add(off) })
		if err := s.Check(t.Context()); (err != nil) != (off != 0) {
			t.Errorf("our clock off by %v: got %v", off, err)
		}
	}
}

func TestCheckRefusesAClusterNode(t *testing.T) {
	t.Parallel()
	s := connect(t, storetest.StartRedis(t, "--cluster-enabled", "yes"))
	wantViolations(t, s.Check(t.Context()), `redis_mode is "cluster"`)
}

func TestCheckJudgesVersions(t *testing.T) {
	t.Parallel()
	good := "redis_mode:standalone\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n"
	for info, want := range map[string]string{
		good + "redis_version:7.0.0\r\n":                                               "",
		good + "redis_version:10.1.2\r\n":                                              "",
		good + "redis_version:6.9.9\r\nvalkey_version:8.0.1\r\n":                       "",
		good + "redis_version:6.2.14\r\n":                                              `redis_version is "6.2.14"`,
		good + "redis_version:\r\n":                                                    `redis_version is ""`,
		good + "redis_version:seven\r\n":                                               `redis_version is "seven"`,
		strings.Replace(good, "standalone", "sentinel", 1) + "redis_version:7.0.0\r\n": `redis_mode is "sentinel"`,
	} {
		var got string
		for _, v := range store.JudgeInfo(info) {
			got += v.What
		}
		if got != want {
			t.Errorf("INFO %q: got %q, want %q", info, got, want)
		}
	}
	if got := len(store.JudgeInfo("")); got != 4 {
		t.Errorf("an INFO that says nothing: got %d violations, want 4", got)
	}
}

package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxSkew is how far Redis' clock may be from ours: records die by the one and are judged by the other.
const maxSkew = 2 * time.Second

// crowdedAt is the part of maxmemory, in percent, above which nothing is put: the rest is for what ends grants.
const crowdedAt = 80

// errCrowded is a Redis that can be trusted, and in which nothing more should be put.
var errCrowded = fmt.Errorf("Redis has used %d %% of its maxmemory; mend: raise it, or lower the quotas", crowdedAt)

// PolicyError says everything for which a store must not be trusted with grants.
type PolicyError struct{ Violations []Violation }

// Violation is one such reason, and what its operator can do.
type Violation struct{ What, Mend string }

func (e *PolicyError) Error() string {
	lines := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		lines[i] = v.What + "; mend: " + v.Mend
	}
	return "store: policy: " + strings.Join(lines, " | ")
}

// Check asks whether this store can be trusted with grants: nil, a *PolicyError with all violations, or
// ErrUnavailable; its own error, if it can, but has little memory left, makes a Guard refuse Put alone. It reads INFO and TIME, never CONFIG, which an ACL user of ours need not have.
func (r *Redis) Check(ctx context.Context) error {
	begun := time.Now()
	err := r.checkPolicy(ctx)
	r.meters.record(ctx, commandCheck, time.Since(begun), err)
	if err != nil {
		return fmt.Errorf("%s: %w", commandCheck, err)
	}
	return nil
}

func (r *Redis) checkPolicy(ctx context.Context) error {
	if err := ready(ctx); err != nil {
		return err
	}
	// Without sections, because versions that are too old to take several must still be able to say so.
	info, err := bounded(ctx, r.timeout, func(ctx context.Context) (string, error) { return r.client.Info(ctx).Result() })
	if err != nil {
		return err
	}
	facts := parseInfo(info)
	if facts["loading"] == "1" {
		return fmt.Errorf("%w: Redis is reading its data", ErrUnavailable)
	}
	asked := r.now()
	theirs, err := bounded(ctx, r.timeout, func(ctx context.Context) (time.Time, error) { return r.client.Time(ctx).Result() })
	if err != nil {
		return err
	}
	violations := append(judgeInfo(facts), judgeClock(theirs, asked, r.now())...)
	if len(violations) > 0 {
		return &PolicyError{violations}
	}
	if crowded(facts) {
		return errCrowded
	}
	return nil
}

// crowded: a maxmemory of 0 is none.
func crowded(info map[string]string) bool {
	used, err := strconv.ParseFloat(info["used_memory"], 64)
	most, noLimit := strconv.ParseFloat(info["maxmemory"], 64)
	return err == nil && noLimit == nil && most > 0 && used*100 > most*crowdedAt
}

// parseInfo reads INFO's lines of name:value.
func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// judgeInfo applies the rules that INFO can answer. What INFO does not say counts as broken.
func judgeInfo(info map[string]string) []Violation {
	var broken []Violation
	refuse := func(ok bool, what, got, mend string) {
		if !ok {
			broken = append(broken, Violation{fmt.Sprintf("%s is %q", what, got), mend})
		}
	}
	policy, version, mode, role := info["maxmemory_policy"], info["redis_version"], info["redis_mode"], info["role"]
	// A lost record logs a client out; a lost revocation would let one in. Nothing here may be evicted.
	refuse(policy == "noeviction", "maxmemory-policy", policy,
		"set `maxmemory-policy noeviction` in redis.conf and by CONFIG SET; a Redis that also serves as a cache needs a second instance")
	refuse(info["valkey_version"] != "" || major(version) >= 7, "redis_version", version,
		"use Redis 7.0 or newer, or Valkey")
	refuse(mode == "standalone", "redis_mode", mode,
		"point the address at a single Redis, not at a sentinel or a cluster")
	refuse(role == "master", "role", role,
		"this node is a replica: point the address at the primary")
	return broken
}

// major is the first number of a version, 0 if there is none.
func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return n
}

// judgeClock compares clocks. Redis read its own at some moment between asked and answered, so only the distance from
// that whole span is skew, however long the way was.
func judgeClock(theirs, asked, answered time.Time) []Violation {
	skew := max(asked.Sub(theirs), theirs.Sub(answered))
	if skew < maxSkew {
		return nil
	}
	return []Violation{{
		fmt.Sprintf("clock of Redis differs from ours by %v", skew.Round(time.Millisecond)),
		"synchronise both hosts' clocks (NTP)",
	}}
}

package configs

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

var errStore = errors.New("is not a store: write `memory`, or {redis: {url: …}}")

var keyPrefix = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)

func (b *builder) checkStore() {
	b.need("it is where grants are kept; write `store: memory`, or {redis: {url: …}}", "store")
	s := b.file.Store
	switch {
	case s.memory && b.role != RoleAll:
		b.faultAt([]any{"store"}, "memory is the store of one process, and role %s shares it with another; use {redis: {url: …}}, or role all", b.role)
	case s.Redis != nil:
		b.checkRedis(*s.Redis)
	case b.section("store") != nil && b.doc.find("store", "redis") == nil:
		b.faultAt([]any{"store"}, "names no store; write `store: memory`, or {redis: {url: …}}")
	}
}

func (b *builder) checkRedis(r RedisSection) {
	path := []any{"store", "redis", "url"}
	if b.section("store", "redis") != nil && !b.reservedRedis() {
		b.need("write rediss://host:6380/0", path...)
	}
	if r.Prefix != "" && !keyPrefix.MatchString(r.Prefix) {
		b.faultAt([]any{"store", "redis", "prefix"}, "%q: use 1 to 32 letters, digits, points, dashes and underscores", b.shown("store", "redis", "prefix"))
	}
	b.checkSecret("password", "store", "redis")
	if strings.HasPrefix(r.URL, "redis:") && b.doc.find("store", "redis", "ca_file") != nil {
		b.faultAt([]any{"store", "redis", "ca_file"}, "has no effect with redis://; use rediss://, or remove it")
	}
	if r.DB != nil && *r.DB < 0 {
		b.faultAt([]any{"store", "redis", "db"}, "is below 0; use the number of a database, such as 0")
	}
	if !b.set(path...) {
		return
	}
	u, err := url.Parse(r.URL)
	switch {
	case err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		b.faultAt(path, "is not a URL such as rediss://redis.internal:6380/0") // not shown: people put passwords there
	case u.User != nil:
		b.faultAt(path, "has a user or a password inside, which ends up in logs; use username and password_file")
	case u.Scheme == "redis" && !loopback(u.Hostname()) && !b.file.InsecurePlaintext:
		b.faultAt(path, "redis:// beyond loopback sends the password in clear; use rediss://, %s", plaintextMend)
	default:
		b.checkDatabase(u, r.DB)
	}
}

func (b *builder) checkDatabase(u *url.URL, db *int) {
	number := strings.Trim(u.Path, "/")
	n, err := strconv.ParseUint(number, 10, 16)
	switch {
	case number != "" && err != nil:
		b.faultAt([]any{"store", "redis", "url"}, "ends in no database number; write rediss://redis.internal:6380/0")
	case number != "" && db != nil && *db != int(n):
		b.faultAt([]any{"store", "redis", "db"}, "differs from the database in the URL; keep one of them")
	}
}

// reservedRedis: the section asks for a kind of Redis of a later version, which has had its fault.
func (b *builder) reservedRedis() bool {
	return b.doc.find("store", "redis", "sentinel") != nil || b.doc.find("store", "redis", "cluster") != nil
}

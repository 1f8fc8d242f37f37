package configs

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

func (b *builder) store() StoreChoice {
	if b.file.Store.Redis == nil {
		return StoreChoice{Memory: b.file.Store.memory}
	}
	r := *b.file.Store.Redis
	out := store.RedisConfig{
		Username: r.Username,
		Password: b.redisPassword(r),
		Prefix:   r.Prefix,
		Timeout:  time.Duration(r.Timeout),
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return StoreChoice{} // checkRedis has said so
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	out.Addr = net.JoinHostPort(u.Hostname(), port)
	out.DB, _ = strconv.Atoi(strings.Trim(u.Path, "/"))
	if r.DB != nil {
		out.DB = *r.DB
	}
	if u.Scheme == "rediss" {
		out.TLS = b.clientTLS(r.CAFile, "store", "redis", "ca_file")
		out.TLS.ServerName = u.Hostname()
	}
	return StoreChoice{Redis: out}
}

// redisPassword reads the file now, to say what is wrong with it, and again for each connection: a password can be
// changed in Redis and in the file without a restart.
func (b *builder) redisPassword(r RedisSection) func() (string, error) {
	text, at, ok := b.secretAt(r.Password, r.PasswordFile, "password", "", "store", "redis")
	switch {
	case !ok:
		return nil
	case r.PasswordFile == "":
		return func() (string, error) { return text, nil }
	default:
		path := b.doc.beside(r.PasswordFile)
		return func() (string, error) {
			text, err := readSecret(path, ownerAndGroup)
			if err != nil {
				return "", fmt.Errorf("configs: %s: %s %w", at.label, at.shown, err)
			}
			return text, nil
		}
	}
}

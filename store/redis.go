package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.opentelemetry.io/otel/metric"
)

// RedisConfig says which Redis, and how to speak to it. Only Addr is required.
type RedisConfig struct {
	Addr     string                 // host:port
	DB       int                    // default 0
	TLS      *tls.Config            // nil: plain text
	Username string                 // empty: none
	Password func() (string, error) // called for each new connection, so that a rotated file is read anew; nil: none
	Prefix   string                 // of all keys, of [A-Za-z0-9_-]; default "coatcheck"
	// Shards is how many logs there are, and how many parts of the records; default 1, at most 64. It is the same for every
	// process, and to change it is to begin with an empty store.
	Shards int
	// Timeout bounds one command, connecting included; default 500 ms. Too low, and a busy Redis reads as away;
	// too high, and requests pile up behind one that is.
	Timeout time.Duration
	Meter   metric.MeterProvider // nil: none. coatcheck_store_commands_total{command,outcome}, coatcheck_store_seconds{command}
}

// Redis is the store on a single Redis (7.0 or newer) or Valkey.
type Redis struct {
	client  *redis.Client
	puller  *redis.Client // of one connection, which only Pull uses: however busy the other is, the lease is not late
	shards  []layout
	timeout time.Duration
	meters  meters
	now     func() time.Time // this host's clock, which Check and Revoke compare with Redis'
}

// NewRedis builds the client; it does not connect: a process never exits because a dependency is away.
func NewRedis(c RedisConfig) (*Redis, error) {
	if c.Prefix == "" {
		c.Prefix = "coatcheck"
	}
	if c.Shards == 0 {
		c.Shards = 1
	}
	if c.Timeout == 0 {
		c.Timeout = 500 * time.Millisecond
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("store: redis: %w", err)
	}
	m, err := newMeters(c.Meter)
	if err != nil {
		return nil, fmt.Errorf("store: redis: %w", err)
	}
	// go-redis would write each failed dial to stderr as unstructured text; every fault reaches our caller as an
	// error anyway. The setting is the library's own and safe to repeat.
	logging.Disable()
	return &Redis{
		client:  redis.NewClient(c.options()),
		puller:  redis.NewClient(c.pullOptions()),
		shards:  newLayouts(c.Prefix, c.Shards),
		timeout: c.Timeout,
		meters:  m,
		now:     time.Now,
	}, nil
}

// check refuses by name what options cannot mend.
func (c RedisConfig) check() error {
	if host, port, err := net.SplitHostPort(c.Addr); err != nil || host == "" || port == "" {
		return errors.New("address must be host:port")
	}
	if c.DB < 0 {
		return errors.New("db must not be negative")
	}
	if c.Shards < 0 || c.Shards > 64 {
		return errors.New("shards must be 1 to 64")
	}
	if c.Timeout < 0 {
		return errors.New("timeout must not be negative")
	}
	return checkName("prefix", c.Prefix)
}

// options is where every default of go-redis that would break a promise of this package is overruled.
func (c RedisConfig) options() *redis.Options {
	o := &redis.Options{
		Addr:         c.Addr,
		DB:           c.DB,
		TLSConfig:    c.TLS.Clone(),
		Protocol:     2,  // no pushes: unread data on a connection is always a fault, and go-redis drops the connection
		MaxRetries:   -1, // none: a script whose answer was late has run already
		DialTimeout:  c.Timeout,
		ReadTimeout:  c.Timeout,
		WriteTimeout: c.Timeout,
		PoolTimeout:  c.Timeout,
		// One attempt: by default, five with pauses between them.
		DialerRetries:         1,
		ContextTimeoutEnabled: true, // by default, deadlines are ignored
		// CLIENT SETINFO on connecting is what put answers out of order in CVE-2025-29923.
		DisableIdentity:          true,
		PipelinePoolSize:         -1, // none: our pipelines have connections of their own
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		// go-redis goes on when Redis refuses its greeting for want of a password, and Redis then cuts the
		// connection over our first long command: ask for the reason while it can still be given.
		OnConnect: func(ctx context.Context, c *redis.Conn) error { return c.Ping(ctx).Err() },
	}
	if c.Username != "" || c.Password != nil {
		o.CredentialsProviderContext = c.credentials
	}
	dial := redis.NewDialer(o)
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return boundReplies(conn), nil
	}
	return o
}

// pullOptions are for one connection.
func (c RedisConfig) pullOptions() *redis.Options {
	o := c.options()
	o.PoolSize = 1
	return o
}

func (c RedisConfig) credentials(context.Context) (username, password string, err error) {
	if c.Password == nil {
		return c.Username, "", nil
	}
	password, err = c.Password()
	return c.Username, password, err
}

// Close closes all connections; whoever still waits gets ErrUnavailable.
func (r *Redis) Close() error { return errors.Join(r.client.Close(), r.puller.Close()) }

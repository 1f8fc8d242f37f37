package verifier

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Times of a JWKS.
const (
	defaultRefresh  = time.Minute
	defaultCooldown = 10 * time.Second
	minRefresh      = 10 * time.Second // also when the issuer says max-age=0
	minCooldown     = time.Second
)

// JWKSConfig configures a JWKS.
type JWKSConfig struct {
	URL    string       // of the key set; empty: discovered from Issuer's metadata (RFC 8414, then openid-configuration)
	Issuer string       // required without URL
	Client *http.Client // nil: one with 5 s time-out; with either, no redirect is followed and a fetch is over within 5 s
	// Refresh is how often the set is fetched anew, in the background of a use; default 1 min (shorter of it and
	// max-age, not below 10 s). A key that the issuer has withdrawn is refused after at most twice this time and
	// one Cooldown, as long as the issuer answers.
	Refresh time.Duration
	// Cooldown is the least time between two fetches caused by unknown key ids, whatever their result, and the
	// least time before a failed fetch is tried again; default 10 s, not below 1 s. Longer spares an issuer that
	// is down; shorter finds a key sooner that was used before it was published.
	Cooldown time.Duration
	// Algorithms are those of which keys are taken, as in ParseJWKS; empty: every one of ours, each named by its key.
	Algorithms []string
	// InsecurePlaintext accepts http:// beyond loopback.
	InsecurePlaintext bool
}

// JWKS is a KeySource over HTTP. Good keys are never dropped because a fetch failed; a key is dropped when a
// fetch succeeds and it is no longer there. It has no goroutine of its own: a use starts each fetch, and a fetch
// ends within 5 s.
type JWKS struct {
	source   *keySetSource
	refresh  time.Duration
	cooldown time.Duration

	set atomic.Pointer[keySet] // the last good one; nil before the first

	mu      sync.Mutex           // guards all below
	flight  *flight              // the running fetch; nil: none
	landed  time.Time            // when the last fetch ended, whatever its result
	lastErr error                // its result
	probed  time.Time            // when the last fetch for an unknown kid ended
	missing map[string]time.Time // kids that a fetch did not find, and until when none is made for them
}

// maxMissing bounds the kids that are remembered as missing. Past it they are only held back by the cool-down.
const maxMissing = 128

// flight is one fetch and those who wait for it. err may be read once done is closed.
type flight struct {
	done chan struct{}
	err  error
}

var _ KeySource = (*JWKS)(nil)

// NewJWKS checks the configuration. It fetches nothing: the first use does, or Refresh.
func NewJWKS(c JWKSConfig) (*JWKS, error) {
	source, err := newKeySetSource(c)
	if err != nil {
		return nil, err
	}
	if c.Refresh == 0 {
		c.Refresh = defaultRefresh
	}
	if c.Cooldown == 0 {
		c.Cooldown = defaultCooldown
	}
	if c.Refresh < 0 || c.Cooldown < minCooldown {
		return nil, fmt.Errorf("verifier: Refresh %v is below 0 or Cooldown %v below %v", c.Refresh, c.Cooldown, minCooldown)
	}
	return &JWKS{source: source, refresh: c.Refresh, cooldown: c.Cooldown, missing: make(map[string]time.Time)}, nil
}

// Ready reports whether a set has been loaded.
func (j *JWKS) Ready() bool { return j.set.Load() != nil }

// Refresh fetches now, or joins the fetch that is running; for readiness at start. It is not held back by the
// cool-down: call it from start-up or an operator's action, never because of a token.
func (j *JWKS) Refresh(ctx context.Context) error {
	j.mu.Lock()
	f := j.fly(nil)
	j.mu.Unlock()
	return f.wait(ctx)
}

// Key returns the key with that id. It blocks only for a kid that is not in the set, or when nobody has asked
// the issuer for so long that a withdrawn key might still be here.
func (j *JWKS) Key(ctx context.Context, id string) (Key, error) {
	set := j.set.Load()
	k, known := set.key(id)
	if known && time.Now().Before(set.stale) {
		return k, nil // nearly every use: no lock
	}
	if known {
		return j.await(ctx, j.renew(), id)
	}
	return j.search(ctx, id)
}

// renew starts the refresh of a stale set, unless one is running, or the last failed less than a cool-down ago.
// It returns a flight to wait for only if the set is overdue: after an idle time, the first token must not be
// accepted by yesterday's keys. While the issuer is away and the service is busy, attempts are recent: nobody waits.
func (j *JWKS) renew() *flight {
	j.mu.Lock()
	defer j.mu.Unlock()
	// The set is looked at again under the lock:
	//  1. A finds the set stale.
	//  2. B's flight lands and publishes a fresh one.
	//  3. A takes the lock and sees no flight; without this it would fetch what has just come.
	set, now := j.set.Load(), time.Now()
	if now.Before(set.stale) {
		return nil
	}
	idle := now.Sub(j.landed)
	if j.flight == nil && j.lastErr != nil && idle < j.cooldown {
		return nil
	}
	f := j.fly(nil)
	if idle < 2*set.interval+j.cooldown {
		return nil
	}
	return f
}

// first is the first key of the set. It blocks only before there is a set, or when the set is overdue. While there is none
// a failed fetch is answered by its error until the cool-down is over: whoever mints does not wait for a service that is away.
func (j *JWKS) first(ctx context.Context) (Key, error) {
	set := j.set.Load()
	if set != nil && time.Now().Before(set.stale) {
		return set.first, nil
	}
	f, err := j.begin(set)
	if err == nil && f != nil {
		err = f.wait(ctx)
	}
	if late := ctx.Err(); late != nil {
		return Key{}, unavailable(late)
	}
	if set = j.set.Load(); set != nil {
		return set.first, nil
	}
	return Key{}, err
}

// begin is renew, and for no set at all the first fetch.
func (j *JWKS) begin(set *keySet) (*flight, error) {
	if set != nil {
		return j.renew(), nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.set.Load() != nil { // as in renew, it may have come meanwhile
		return nil, nil
	}
	if j.flight == nil && j.lastErr != nil && time.Since(j.landed) < j.cooldown {
		return nil, unavailable(j.lastErr)
	}
	return j.fly(nil), nil
}

// search asks for a kid that is not in the set. Somebody else's flight may have asked the issuer before the key
// was published, so its "no" is not ours; the second round asks on our own account, if the cool-down lets us.
func (j *JWKS) search(ctx context.Context, id string) (Key, error) {
	f, own, err := j.probe(id)
	if err != nil {
		return Key{}, err
	}
	k, err := j.await(ctx, f, id)
	if own || !errors.Is(err, ErrUnknownKey) {
		return k, err
	}
	if f, _, err = j.probe(id); err != nil {
		return Key{}, err
	}
	return j.await(ctx, f, id)
}

// probe decides whether an unknown kid may cause a fetch. It returns the flight to wait for (nil: look at the set
// again), and whether it was begun for this kid. Ten thousand junk tokens find either the flight of the first of
// them or its cool-down.
func (j *JWKS) probe(id string) (f *flight, own bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	// As in renew: between our look at the set and this lock, a flight may have landed with the key.
	if _, known := j.set.Load().key(id); known {
		return nil, true, nil
	}
	if j.flight != nil {
		return j.flight, false, nil
	}
	now := time.Now()
	cooling := !j.probed.IsZero() && now.Sub(j.probed) < j.cooldown
	if !cooling && !now.Before(j.missing[id]) {
		return j.fly(&id), true, nil
	}
	// The last answer stands: it is younger than a cool-down, or it was about this very kid. If there was none,
	// the key may well exist: 503, not 401.
	if j.lastErr != nil {
		return nil, false, unavailable(j.lastErr)
	}
	return nil, false, ErrUnknownKey
}

// await waits for a flight and answers by the set that is published then. A flight that failed changes nothing:
// a key that we had is still good, one that we had not is a question without an answer. Who gives up waiting gets
// no key at all.
func (j *JWKS) await(ctx context.Context, f *flight, id string) (Key, error) {
	var failed error
	if f != nil {
		failed = f.wait(ctx)
	}
	if err := ctx.Err(); err != nil {
		return Key{}, unavailable(err)
	}
	if k, known := j.set.Load().key(id); known {
		return k, nil
	}
	if failed != nil {
		return Key{}, failed
	}
	return Key{}, ErrUnknownKey
}

// fly returns the running flight or begins one; probe is the unknown kid that it is for. j.mu must be held. The
// flight has its own deadline and not the context of who began it: others wait for it too.
func (j *JWKS) fly(probe *string) *flight {
	if j.flight != nil {
		return j.flight
	}
	f := &flight{done: make(chan struct{})}
	j.flight = f
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
		defer cancel()
		set, err := j.source.fetch(ctx, j.set.Load(), j.refresh)
		j.land(f, set, err, probe)
	}()
	return f
}

// land ends a flight, in this order:
//  1. The set is published, before anyone is told, so that whoever waited finds it.
//  2. Under the lock the flight is taken away: from here a new one may begin.
//  3. done is closed: the waiters wake.
func (j *JWKS) land(f *flight, set *keySet, err error, probe *string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil {
		j.set.Store(set)
	}
	now := time.Now()
	j.flight, j.landed, j.lastErr, f.err = nil, now, err, err
	if probe != nil {
		j.probed = now
		if _, known := set.key(*probe); err == nil && !known {
			j.remember(*probe, now.Add(min(set.interval, 2*j.cooldown)))
		}
	}
	close(f.done)
}

// remember notes a missing kid. Not for long: of several issuers one may publish a key some seconds after another
// signs with it, when the store has lost their ring and they have begun a new one. j.mu must be held.
func (j *JWKS) remember(id string, until time.Time) {
	for old, end := range j.missing {
		if !time.Now().Before(end) {
			delete(j.missing, old)
		}
	}
	if len(j.missing) < maxMissing {
		j.missing[id] = until
	}
}

// wait waits for the flight to land or for ctx.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		if f.err != nil {
			return unavailable(f.err)
		}
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

func unavailable(cause error) error {
	return fmt.Errorf("%w: %w", ErrKeysUnavailable, cause)
}

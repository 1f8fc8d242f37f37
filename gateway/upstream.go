package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// How connections to targets behave. A target that is slower than these is down.
const (
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 5 * time.Second
	continueTimeout  = 1 * time.Second // then the body is sent without the 100 that was asked for
	idleTimeout      = 90 * time.Second
	idlePerTarget    = 256
	headerTimeout    = 30 * time.Second // until response headers, unless the upstream says otherwise
	maxAnswerHeader  = 64 << 10         // bytes
)

// How targets are asked for their health.
const (
	checkEvery   = 5 * time.Second // give or take a tenth, so that edges do not ask in step
	checkTimeout = 2 * time.Second
	checkBody    = 4 << 10 // bytes read of an answer, so that its connection can be used again
	failuresOut  = 2       // in a row, until a target is left out
	successesIn  = 2       // in a row, until it is used again
)

// upstream is the service behind a route: its targets in turn, its connections, and which targets are well.
type upstream struct {
	name      string
	health    string // path; empty: every target counts as well
	targets   []*targetState
	turn      atomic.Uint64
	transport *http.Transport
	log       *slog.Logger
}

// targetState is one address and what is known of it.
type targetState struct {
	url    *url.URL // scheme and host alone
	out    atomic.Bool
	streak int // answers in a row that speak against out; owned by watch
}

// newUpstream opens no connection yet.
func newUpstream(u Upstream, log *slog.Logger) (*upstream, error) {
	up := &upstream{name: u.Name, health: u.Health, log: log, transport: newTransport(u)}
	for _, t := range u.Targets {
		if t.Scheme != "http" && t.Scheme != "https" || t.Host == "" || t.User != nil || t.RawQuery != "" || t.Fragment != "" ||
			t.Path != "" && t.Path != "/" {
			return nil, fmt.Errorf("gateway: upstream %s: %s: give a URL of scheme and host alone, such as http://orders.internal:9000", u.Name, t.Redacted())
		}
		up.targets = append(up.targets, &targetState{url: &url.URL{Scheme: t.Scheme, Host: t.Host}})
	}
	if len(up.targets) == 0 {
		return nil, fmt.Errorf("gateway: upstream %s has no target: give it a url", u.Name)
	}
	if h, err := canonicalPath(u.Health); u.Health != "" && (err != nil || h != u.Health) {
		return nil, fmt.Errorf("gateway: upstream %s: health %q is not a path: it begins with a slash and has no query", u.Name, u.Health)
	}
	return up, nil
}

// newTransport speaks HTTP/1.1 and goes straight to the target: a proxy from the environment would see every JWT.
// Bodies are not transformed: nothing asks for gzip that the caller did not ask for.
func newTransport(u Upstream) *http.Transport {
	t := &http.Transport{
		DialContext:            guard((&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext),
		TLSClientConfig:        u.TLS.Clone(),
		TLSHandshakeTimeout:    handshakeTimeout,
		ResponseHeaderTimeout:  u.Timeout,
		ExpectContinueTimeout:  continueTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    idlePerTarget,
		MaxIdleConns:           idlePerTarget * max(1, len(u.Targets)),
		MaxResponseHeaderBytes: maxAnswerHeader,
		DisableCompression:     true,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if t.ResponseHeaderTimeout <= 0 {
		t.ResponseHeaderTimeout = headerTimeout
	}
	return t
}

// next is the target whose turn it is among those that are well. When all are out, all are tried: the checks may be what
// is broken. The URL is shared; copy what is needed of it.
func (u *upstream) next() *url.URL {
	n := uint64(len(u.targets))
	turn := u.turn.Add(1)
	for i := range n {
		if t := u.targets[(turn+i)%n]; !t.out.Load() {
			return t.url
		}
	}
	return u.targets[turn%n].url
}

// run asks every target for its health until ctx ends; it returns nil then.
func (u *upstream) run(ctx context.Context) error {
	if u.health == "" {
		<-ctx.Done()
		return nil
	}
	var watchers sync.WaitGroup
	for _, t := range u.targets {
		watchers.Go(func() { u.watch(ctx, t) })
	}
	watchers.Wait()
	return nil
}

func (u *upstream) watch(ctx context.Context, t *targetState) {
	for {
		err := u.ask(ctx, t)
		if ctx.Err() != nil {
			return
		}
		u.judge(ctx, t, err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(checkEvery + rand.N(checkEvery/5) - checkEvery/10):
		}
	}
}

// judge changes a target's state only after enough answers in a row, so that one lost packet moves no traffic.
func (u *upstream) judge(ctx context.Context, t *targetState, err error) {
	out := t.out.Load()
	if out == (err != nil) {
		t.streak = 0
		return
	}
	t.streak++
	switch {
	case !out && t.streak >= failuresOut:
		u.log.LogAttrs(ctx, slog.LevelWarn, "target is out", slog.String("upstream", u.name), slog.String("target", t.url.Host), slog.Any("error", err))
	case out && t.streak >= successesIn:
		u.log.LogAttrs(ctx, slog.LevelInfo, "target is back", slog.String("upstream", u.name), slog.String("target", t.url.Host))
	default:
		return
	}
	t.streak = 0
	t.out.Store(!out)
}

// ask is nil for an answer of 2xx in time. It goes through the proxied connections' own transport, so that it proves their TLS too,
// and follows no redirect: a healthy neighbour says nothing about this target.
func (u *upstream) ask(ctx context.Context, t *targetState) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url.String()+u.health, nil)
	if err != nil {
		return fmt.Errorf("build health request: %w", err)
	}
	r.Header.Set("User-Agent", "coatcheck-health")
	answer, err := u.transport.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // read as far as it will be
	if _, err := io.CopyN(io.Discard, answer.Body, checkBody); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read health answer: %w", err)
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("health answer is %d", answer.StatusCode)
	}
	return nil
}

// close closes idle connections; those in use end with their requests.
func (u *upstream) close() { u.transport.CloseIdleConnections() }

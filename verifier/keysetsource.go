package verifier

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// keySet is one published state of the issuer's keys. It is immutable and replaced whole.
type keySet struct {
	keys     StaticKeys
	first    Key           // of a set of encryption keys
	interval time.Duration // how long it is fresh
	stale    time.Time     // from here a use refreshes it; counted from the moment of asking
}

// key looks a kid up; a nil set holds none.
func (s *keySet) key(id string) (Key, bool) {
	if s == nil {
		return Key{}, false
	}
	k, ok := s.keys[id]
	return k, ok
}

// keySetSource fetches key sets. One flight at a time uses it, and each begins after the last has landed under
// the lock of the JWKS: so its fields need no lock of their own.
type keySetSource struct {
	client *http.Client
	read   func(set *keySet, document []byte) error
	issuer string // discover from here, unless fixed
	fixed  bool   // url is configured
	url    string // of the key set; empty: to be discovered
	etag   string // of the set that we have, at url
}

func newKeySetSource(c JWKSConfig) (*keySetSource, error) {
	s := &keySetSource{client: newClient(c.Client), issuer: c.Issuer, url: c.URL, fixed: c.URL != ""}
	s.read = func(set *keySet, document []byte) (err error) {
		set.keys, err = ParseJWKS(document, c.Algorithms...)
		return err
	}
	if s.fixed {
		if _, err := parseEndpoint(c.URL, c.InsecurePlaintext); err != nil {
			return nil, fmt.Errorf("verifier: key set URL %q: %w", c.URL, err)
		}
		return s, nil
	}
	if c.Issuer == "" {
		return nil, errors.New("verifier: no place for keys to come from: set URL or Issuer")
	}
	return s, checkIssuer(c.Issuer, c.InsecurePlaintext)
}

// fetch gets the set anew. After a failure the next fetch discovers again: the issuer may have moved its keys.
func (s *keySetSource) fetch(ctx context.Context, have *keySet, refresh time.Duration) (*keySet, error) {
	asked := time.Now()
	set, err := s.tryFetch(ctx, have)
	if err != nil {
		s.etag = ""
		if !s.fixed {
			s.url = ""
		}
		return nil, err
	}
	if set.interval < 0 || set.interval > refresh {
		set.interval = refresh
	}
	set.interval = max(set.interval, minRefresh)
	set.stale = asked.Add(set.interval)
	return set, nil
}

// tryFetch returns a set whose interval is still what the issuer said.
func (s *keySetSource) tryFetch(ctx context.Context, have *keySet) (_ *keySet, err error) {
	if s.url == "" {
		if s.url, err = discover(ctx, s.client, s.issuer); err != nil {
			return nil, err
		}
	}
	doc, err := get(ctx, s.client, s.url, s.etag)
	if err != nil {
		return nil, err
	}
	set := &keySet{interval: doc.maxAge}
	if doc.unchanged {
		set.keys, set.first = have.keys, have.first // an etag is only kept beside the set that came with it
		return set, nil
	}
	if err := s.read(set, doc.body); err != nil {
		return nil, fmt.Errorf("get %s: %w", s.url, err)
	}
	s.etag = doc.etag
	return set, nil
}

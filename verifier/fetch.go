package verifier

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// fetchTimeout bounds one flight: at most two metadata documents and one key set, headers and bodies together.
const fetchTimeout = 5 * time.Second

// document is a small body and what its server says about caching it.
type document struct {
	body      []byte
	etag      string
	maxAge    time.Duration // below 0: not said
	unchanged bool          // 304: body is empty, what we have still holds
}

// newClient returns a client for documents: no redirects (a redirect would choose where keys come from), no
// compression (a bomb), small headers. Of a given client only its redirects are taken away.
func newClient(given *http.Client) *http.Client {
	var c http.Client
	if given != nil {
		c = *given
	} else {
		c.Timeout = fetchTimeout
		c.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConns:           2,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 32 << 10,
		}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// get fetches a document of at most maxDocument bytes. With an etag, 304 is an answer; else only 200 is.
// ctx must have a deadline: it also bounds a body that never ends.
func get(ctx context.Context, client *http.Client, url, etag string) (document, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return document{}, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	res, err := client.Do(req)
	if err != nil {
		return document{}, err
	}
	defer func() { _ = res.Body.Close() }() // read only: nothing can be lost

	doc := document{etag: res.Header.Get("ETag"), maxAge: maxAge(res.Header)}
	if res.StatusCode == http.StatusNotModified && etag != "" {
		doc.unchanged, doc.etag = true, etag
		return doc, nil
	}
	if res.StatusCode != http.StatusOK {
		return document{}, fmt.Errorf("get %s: status %d", url, res.StatusCode)
	}
	doc.body, err = io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return document{}, fmt.Errorf("get %s: %w", url, err)
	}
	if len(doc.body) > maxDocument {
		return document{}, fmt.Errorf("get %s: longer than %d bytes", url, maxDocument)
	}
	return doc, nil
}

// maxAge reads Cache-Control's max-age (RFC 9111 §5.2.2.1); below 0 when there is none that can be read.
func maxAge(h http.Header) time.Duration {
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		// 31 bits as RFC 9111 §1.2.2 advises, so that the product cannot overflow.
		if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
			return time.Duration(seconds) * time.Second
		}
	}
	return -1
}

package processtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Answer is what a client received.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Client is a third party. Its connections are its own.
type Client struct {
	t    testing.TB
	http *http.Client
}

// NewClient makes a client that follows no redirect and gives up after Patience.
func NewClient(t testing.TB) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	t.Cleanup(transport.CloseIdleConnections)
	return &Client{t, &http.Client{
		Transport:     transport,
		Timeout:       Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do sends a request; the test fails when there is no answer.
func (c *Client) Do(method, target string, header http.Header, body string) Answer {
	c.t.Helper()
	a, err := c.Try(method, target, header, body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

// Try sends a request that may find nobody.
func (c *Client) Try(method, target string, header http.Header, body string) (a Answer, err error) {
	req, err := http.NewRequestWithContext(c.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	if header != nil {
		req.Header = header
	}
	res, err := c.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	got, err := io.ReadAll(res.Body)
	if cerr := res.Body.Close(); err == nil {
		err = cerr
	}
	return Answer{res.StatusCode, res.Header, string(got)}, err
}

// Call sends a request with a bearer credential; empty: with none.
func (c *Client) Call(method, target, credential string) Answer {
	c.t.Helper()
	header := http.Header{}
	if credential != "" {
		header.Set("Authorization", "Bearer "+credential)
	}
	return c.Do(method, target, header, "")
}

// Token asks an issuer for a reference. Extra pairs of form fields follow the secret.
func (c *Client) Token(issuer, id, secret string, extra ...string) string {
	c.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	for i := 0; i+1 < len(extra); i += 2 {
		form.Add(extra[i], extra[i+1])
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	a := c.Do(http.MethodPost, issuer+"/oauth2/token", header, form.Encode())
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil || a.Status != http.StatusOK || got.AccessToken == "" {
		c.t.Fatalf("no reference for %s: %d %s (%v)", id, a.Status, a.Body, err)
	}
	return got.AccessToken
}

// Ready waits until the process whose metrics listener is at addr is ready.
func (c *Client) Ready(addr string) {
	c.t.Helper()
	var last string
	late := time.Now().Add(Patience)
	for time.Now().Before(late) {
		a, err := c.Try(http.MethodGet, "http://"+addr+"/readyz", nil, "")
		if err == nil && a.Status == http.StatusOK {
			return
		}
		last = a.Body
		time.Sleep(pollEvery)
	}
	c.t.Fatalf("%s is not ready after %v: %s", addr, Patience, last)
}

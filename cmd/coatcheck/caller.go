package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/configs"
)

const (
	callWithin = 30 * time.Second // for one request of `coatcheck call`
	maxAnswer  = 1 << 20          // bytes of an answer that are read
)

// secretVariable may hold the client's secret: unlike a flag, it is in no process list and no shell history.
const secretVariable = "COATCHECK_CLIENT_SECRET"

// caller is a client of ours, as a third party would be: it has an id, a secret, and two addresses. It goes the
// public way in and no other, so that what it shows is what a client would see.
type caller struct {
	client, secret string
	issuer, edge   string
	http           *http.Client
}

// newCaller is the demo client of the running `coatcheck dev`, or the client that the flags name.
func newCaller(f callFlags) (*caller, error) {
	transport, err := callTransport(f.caFile)
	if err != nil {
		return nil, err
	}
	c := &caller{http: &http.Client{
		Timeout:       callWithin,
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	fill := c.fromDev
	if f.file != "" {
		fill = c.fromFile
	}
	if err := fill(f); err != nil {
		return nil, err
	}
	if f.issuer != "" {
		c.issuer = strings.TrimSuffix(f.issuer, "/")
	}
	if f.edge != "" {
		c.edge = strings.TrimSuffix(f.edge, "/")
	}
	return c, nil
}

func (c *caller) fromDev(f callFlags) error {
	s, err := loadDevState(strings.TrimSuffix(f.edge, "/"))
	if errors.Is(err, fs.ErrNotExist) {
		return &exitError{exitUnavailable, errors.New("no coatcheck dev is running; start it in another terminal, or say -c FILE")}
	}
	if err != nil {
		return err
	}
	if f.client != "" && f.client != s.Client {
		return &exitError{exitUsage, fmt.Errorf("--client %s: coatcheck dev has only %s; say -c FILE for another", f.client, s.Client)}
	}
	c.client, c.secret, c.issuer, c.edge = s.Client, s.Secret, s.Issuer, s.Edge
	return nil
}

func (c *caller) fromFile(f callFlags) error {
	if f.client == "" {
		return &exitError{exitUsage, errors.New("with -c, say which client to be: --client ID")}
	}
	p, err := configs.LoadPublic(f.file, os.LookupEnv)
	var faults configs.Faults
	switch {
	case errors.As(err, &faults):
		return err
	case err != nil:
		return &exitError{exitConfig, err}
	case len(p.Clients) > 0 && !slices.Contains(p.Clients, f.client): // the file of an edge alone names none
		return &exitError{exitUsage, fmt.Errorf("--client %s: %s has no such client", f.client, f.file)}
	case p.Gateway == "" && f.edge == "":
		return &exitError{exitUsage, fmt.Errorf("%s has no listen.gateway: say where the edge is with --edge URL", f.file)}
	}
	c.client, c.issuer, c.edge = f.client, p.Issuer, localEdge(p)
	c.secret, err = clientSecret(f.secretFile)
	return err
}

// callTransport trusts the authorities in the file, or those of the system.
func callTransport(caFile string) (*http.Transport, error) {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if caFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("--ca-file: %w", err)}
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
		return nil, &exitError{exitUsage, fmt.Errorf("--ca-file: %s holds no PEM certificate", caFile)}
	}
	return t, nil
}

// clientSecret reads the secret from its file, or else from its variable.
func clientSecret(file string) (string, error) {
	if file == "" {
		if s := os.Getenv(secretVariable); s != "" {
			return s, nil
		}
		return "", &exitError{exitUsage, errors.New("the client's secret is needed: --secret-file FILE, or the variable " + secretVariable)}
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrPermission) {
		return "", &exitError{exitNotPermitted, fmt.Errorf("--secret-file: %w; run as its owner", err)}
	}
	if err != nil {
		return "", &exitError{exitUsage, fmt.Errorf("--secret-file: %w", err)}
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}

// localEdge is the configured edge as this machine reaches it.
func localEdge(p *configs.Public) string {
	scheme := "http"
	if p.TLS {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(p.Gateway)
	if err != nil {
		return scheme + "://" + p.Gateway
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// reference asks the issuer for one. A refusal is the issuer's answer, so it is exit 2.
func (c *caller) reference(ctx context.Context, audiences, scopes []string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "audience": audiences}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	endpoint := c.issuer + "/oauth2/token"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// RFC 6749 §2.3.1: both are form-encoded before they go into Basic.
	req.SetBasicAuth(url.QueryEscape(c.client), url.QueryEscape(c.secret))
	status, body, _, err := c.do(req)
	if err != nil {
		return "", unreachable("issuer", endpoint, err)
	}
	var got struct {
		Reference   string `json:"access_token"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return "", fmt.Errorf("the issuer at %s answered %d with something that is not JSON", endpoint, status)
	}
	if status != http.StatusOK || got.Reference == "" {
		return "", &exitError{exitNo, fmt.Errorf("the issuer gave no reference: %d %s: %s", status, got.Error, got.Description)}
	}
	return got.Reference, nil
}

// call sends one request with the reference and keeps what can be seen of it from here.
func (c *caller) call(ctx context.Context, method, path, data, reference string) (*seen, error) {
	var body io.Reader
	if data != "" {
		body = strings.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.edge+path, body)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	req.Header.Set("Authorization", "Bearer "+reference)
	status, got, header, err := c.do(req)
	if err != nil {
		return nil, unreachable("edge", c.edge, err)
	}
	s := &seen{
		Sent: sent{Client: c.client, Method: method, URL: c.edge + path, Authorization: "Bearer " + masked(reference)},
		Decided: decided{
			Status: status, RequestID: header.Get("X-Request-Id"), Error: header.Get("Gateway-Error"),
			Decision: header.Get("Coatcheck-Decision"), Challenge: header.Get("Www-Authenticate"),
		},
		body: bytes.TrimSpace(got),
	}
	if json.Valid(s.body) {
		s.Answer = json.RawMessage(s.body)
	}
	return s, nil
}

// do sends a request and reads at most maxAnswer bytes of the answer.
func (c *caller) do(req *http.Request) (int, []byte, http.Header, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return res.StatusCode, body, res.Header, errors.Join(err, res.Body.Close())
}

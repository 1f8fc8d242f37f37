package configs

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/gateway"
	"github.com/coatcheck/coatcheck/routes"
	"github.com/coatcheck/coatcheck/verifier"
	yaml "go.yaml.in/yaml/v4"
)

// keysWithin is how long one fetch of the issuer's keys may take, as in the verifier.
const keysWithin = 5 * time.Second

func (b *builder) gateway(table *routes.Table) *gateway.Config {
	limits := b.file.Limits
	config := &gateway.Config{
		Table:          table,
		Upstreams:      map[string]gateway.Upstream{},
		MaxBody:        int64(limits.Body),
		RequestTimeout: time.Duration(limits.RequestTimeout),
		PerClient:      float64(limits.PerClient),
		TraceSample:    b.telemetry().Sample,
		TrustedProxies: b.trustedProxies(),
	}
	if brake := limits.BadReferences; brake != nil {
		config.BadReferencesPerAddress = float64(*brake)
		if *brake == 0 {
			config.BadReferencesPerAddress = -1 // there, 0 is the default and a negative rate is none
		}
	}
	for name := range b.file.Upstreams {
		config.Upstreams[name] = b.upstream(name)
	}
	return config
}

func (b *builder) upstream(name string) gateway.Upstream {
	u := b.file.Upstreams[name]
	out := gateway.Upstream{Name: name, Health: u.Health, Timeout: time.Duration(u.Timeout)}
	for _, text := range u.addresses() {
		if target, err := url.Parse(text); err == nil {
			out.Targets = append(out.Targets, target)
		}
	}
	out.TLS = b.upstreamTLS(name, u)
	return out
}

func (b *builder) upstreamTLS(name string, u UpstreamSection) *tls.Config {
	if !b.set("upstreams", name, "ca_file") {
		return nil
	}
	return b.clientTLS(u.CAFile, "upstreams", name, "ca_file")
}

func (b *builder) exchange(stamper *exchange.Stamper) *exchange.Config {
	return &exchange.Config{
		Issuer:     b.file.Issuer,
		Stamper:    stamper,
		CacheBytes: int64(b.file.Cache.Size),
	}
}

// keys are the public keys of jwks_file; nil without one.
func (b *builder) keys() verifier.KeySource {
	at, ok := b.placed("keys", "jwks_file")
	if !ok {
		return nil
	}
	text, ok := b.read(at, b.file.Keys.JWKSFile, anyReader)
	if !ok {
		return nil
	}
	keys, err := verifier.ParseJWKS([]byte(text))
	if err != nil {
		b.doc.fault(at.node, "%s: %s is no usable key set: %v", at.label, at.shown, err)
		return nil
	}
	return keys
}

func (b *builder) jwks() verifier.JWKSConfig {
	return verifier.JWKSConfig{
		URL:               b.file.Keys.JWKSURL,
		Issuer:            b.file.Issuer,
		Client:            b.documentClient(b.file.Keys.CAFile, "keys", "ca_file"),
		InsecurePlaintext: b.file.InsecurePlaintext,
	}
}

// documentClient is a client for documents like the verifier's own, which trusts the authorities of the file at path; nil
// without that file. The verifier takes its redirects away.
func (b *builder) documentClient(file string, path ...any) *http.Client {
	if !b.set(path...) {
		return nil
	}
	return &http.Client{
		Timeout: keysWithin,
		Transport: &http.Transport{
			TLSClientConfig:        b.clientTLS(file, path...),
			Proxy:                  http.ProxyFromEnvironment,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConns:           2,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 32 << 10,
		},
	}
}

// table builds the route table, with the place of each rule. What a route lacks, and checkRoutes has told, is made up,
// so that the table's faults are about patterns, names and conflicts alone.
func (b *builder) table() *routes.Table {
	var rules []routes.Route
	places := map[string]*yaml.Node{} // by source
	for i, r := range b.file.Routes {
		n := b.doc.find("routes", i, "match")
		if n == nil || b.doc.unread[n] || !b.set("routes", i, "name") {
			continue
		}
		rule := routes.Route{
			Name: r.Name, Match: r.Match, Upstream: cmp.Or(r.Upstream, "missing"),
			Public: r.Public || r.Audience == "", StripPrefix: r.StripPrefix, WebSocket: r.WebSocket,
			Strict: r.Freshness == "strict" && !r.Public && r.Audience != "", // else it has had its fault
			Source: fmt.Sprintf("%s:%d:%d", b.doc.path, n.Line, n.Column),
		}
		if !rule.Public {
			rule.Audience, rule.Scopes = r.Audience, r.Scopes
		}
		rules = append(rules, rule)
		places[rule.Source] = n
	}
	table, err := routes.New(rules)
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			b.tableFault(one, places)
		}
	}
	return table
}

// tableFault puts a fault of the table at the route's pattern. Places inside the message are cut to their lines: the
// fault names the file already.
func (b *builder) tableFault(err error, places map[string]*yaml.Node) {
	var source string
	var rule *routes.RouteError
	var conflict *routes.ConflictError
	switch {
	case errors.As(err, &rule):
		source = rule.Source
	case errors.As(err, &conflict):
		source = conflict.Sources[1]
	}
	text := strings.TrimPrefix(err.Error(), source+": ")
	b.doc.fault(places[source], "%s", strings.ReplaceAll(text, b.doc.path+":", "line "))
}

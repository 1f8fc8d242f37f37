package verifier

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// discover finds the URL of an issuer's key set in its metadata: first where RFC 8414 §3 puts it, then where
// OpenID Connect Discovery §4 does. A document that does not hold is no better than none: the next is tried.
func discover(ctx context.Context, client *http.Client, issuer string) (string, error) {
	base, err := url.Parse(issuer)
	if err != nil {
		return "", fmt.Errorf("issuer %q: %w", issuer, err)
	}
	var failed []error
	for _, at := range metadataURLs(base) {
		doc, err := get(ctx, client, at, "")
		if err == nil {
			var keys string
			if keys, err = jwksURL(doc.body, issuer, base); err == nil {
				return keys, nil
			}
			err = fmt.Errorf("metadata at %s: %w", at, err)
		}
		failed = append(failed, err)
	}
	return "", errors.Join(failed...)
}

// metadataURLs inserts the well-known part before the issuer's path, and appends it (RFC 8414 §3 and §5).
func metadataURLs(issuer *url.URL) []string {
	origin := issuer.Scheme + "://" + issuer.Host
	path := strings.TrimSuffix(issuer.EscapedPath(), "/")
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + "/.well-known/openid-configuration",
	}
}

// jwksURL reads a metadata document. Its issuer must be ours byte for byte (RFC 8414 §3.3), or a document of
// another tenant on the same host would do. Its jwks_uri must be of the issuer's own origin, so that a poisoned
// document cannot send us to another host, nor from https to http.
func jwksURL(body []byte, issuer string, base *url.URL) (string, error) {
	metadata, err := parseObject(body)
	if err != nil {
		return "", err
	}
	if named, _ := metadata.text("issuer"); named != issuer {
		return "", errors.New("names another issuer")
	}
	text, _ := metadata.text("jwks_uri")
	// The scheme was decided when the issuer was accepted; sameOrigin holds jwks_uri to it.
	keys, err := parseEndpoint(text, true)
	if err != nil {
		return "", fmt.Errorf("jwks_uri %w", err)
	}
	if !sameOrigin(keys, base) {
		return "", errors.New("jwks_uri is of another origin than the issuer: set the URL of the key set")
	}
	return text, nil
}

package clients

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coatcheck/coatcheck/verifier"
)

const (
	rfc7517Key = `{"kty":"EC","crv":"P-256","kid":"1","alg":"ES256","use":"sig",
"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`
	oneKey = `{"keys":[` + rfc7517Key + `]}`
)

func TestNewKeysRefuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		spec KeySpec
		want string
	}{
		"nothing":           {KeySpec{}, "no keys"},
		"two places":        {KeySpec{JWKS: []byte(oneKey), URL: "https://c.example/jwks"}, "two places"},
		"a private key":     {KeySpec{JWKS: []byte(strings.Replace(oneKey, `"use"`, `"d":"AAAA","use"`, 1))}, "private member"},
		"without kid":       {KeySpec{JWKS: []byte(strings.Replace(oneKey, `"kid":"1",`, "", 1))}, "kid"},
		"two keys of a kid": {KeySpec{JWKS: []byte(`{"keys":[` + rfc7517Key + "," + rfc7517Key + `]}`)}, "kid of another"},
		"no JSON":           {KeySpec{JWKS: []byte("keys")}, "JSON"},
		"alg none":          {KeySpec{JWKS: []byte(oneKey), Algorithms: []string{"none"}}, "not accepted"},
		"another algorithm": {KeySpec{JWKS: []byte(oneKey), Algorithms: []string{"RS256"}}, "no usable key"},
		"http beyond here":  {KeySpec{URL: "http://c.example/jwks", Private: true}, "https"},
		"a file":            {KeySpec{URL: "file:///etc/passwd"}, "https"},
		"a password in it":  {KeySpec{URL: "https://u:p@c.example/jwks"}, "user"},
		"a gopher":          {KeySpec{URL: "gopher://c.example:6379/_FLUSHALL"}, "https"},
		"nowhere":           {KeySpec{URL: "https:///jwks"}, "https"},
	} {
		if _, err := NewKeys(row.spec); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, row.want)
		}
	}
}

// A URL that did not come from the operator reaches nothing that only this process can reach, whatever its name says; one
// that did reaches it, follows no redirect, and is not asked again for each unknown kid.
func TestKeysOfAURL(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		_, _ = w.Write([]byte(oneKey))
	}))
	t.Cleanup(server.Close)
	ask := func(path string, private bool) (*Keys, error) {
		k, err := NewKeys(KeySpec{URL: server.URL + path, Private: private})
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.Key(t.Context(), "1")
		return k, err
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		k, err := NewKeys(KeySpec{URL: strings.Replace(server.URL, "127.0.0.1", host, 1) + "/"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = k.Key(t.Context(), "1"); !errors.Is(err, verifier.ErrKeysUnavailable) || asked.Load() != 0 {
			t.Errorf("a stranger's URL to %s: %v, asked %d times; want ErrKeysUnavailable, and nothing asked", host, err, asked.Load())
		}
	}
	k, err := ask("/", true)
	if err != nil || asked.Load() != 1 {
		t.Errorf("the operator's URL: %v, asked %d times", err, asked.Load())
	}
	for range 100 {
		if _, err := k.Key(context.WithoutCancel(t.Context()), "2"); !errors.Is(err, verifier.ErrUnknownKey) {
			t.Errorf("an unknown kid: %v", err)
		}
	}
	if got := asked.Load(); got > 2 {
		t.Errorf("100 unknown kids caused %d fetches, want one at most", got-1)
	}
	if _, err := ask("/moved", true); !errors.Is(err, verifier.ErrKeysUnavailable) {
		t.Errorf("a URL that redirects: %v, want ErrKeysUnavailable", err)
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for _, private := range []string{
		"127.0.0.1", "127.255.0.1", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254",
		"100.64.0.1", "192.0.0.192", "192.0.2.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "fe80::1", "fe80::1%eth0",
		"fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2001::1", "100::1",
	} {
		if isPublic(netip.MustParseAddr(private)) {
			t.Errorf("%s is taken for public", private)
		}
		if err := refusePrivate("tcp", netip.AddrPortFrom(netip.MustParseAddr(private), 443).String(), nil); err == nil {
			t.Errorf("%s may be connected to", private)
		}
	}
	for _, public := range []string{"1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "::ffff:1.1.1.1", "2606:4700::1111", "2a00:1450::1"} {
		if !isPublic(netip.MustParseAddr(public)) {
			t.Errorf("%s is taken for private", public)
		}
	}
}

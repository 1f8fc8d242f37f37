package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// Where the admin API is and what lets one in, for whoever does not want to say it each time. A token in a variable is,
// unlike one in a flag, in no process list and no shell history.
const (
	adminVariable      = "COATCHECK_ADMIN"
	adminTokenVariable = "COATCHECK_ADMIN_TOKEN"
)

// adminFlags say how to reach the admin API.
type adminFlags struct {
	admin, tokenFile, caFile string
	plaintext                bool
	format                   *string
}

func (f *adminFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.admin, "admin", "", "where the issuer's admin API is: a URL, or the path of its unix socket (default: $"+adminVariable+", or the coatcheck dev that runs)")
	flags.StringVar(&f.tokenFile, "admin-token-file", "", "file with the admin token (default: $"+adminTokenVariable+")")
	flags.StringVar(&f.caFile, "ca-file", "", "PEM file of the authorities that may have signed its certificate (default: the system's)")
	flags.BoolVar(&f.plaintext, "insecure-plaintext", false, "send the token over http beyond this machine, on a network that encrypts by itself")
	f.format = outputFlag(cmd)
}

// operator asks the admin API of one issuer.
type operator struct {
	base  string // URL without final slash
	token string
	http  *http.Client
}

func newOperator(f adminFlags) (*operator, error) {
	at, token, err := whereAdmin(f)
	if err != nil {
		return nil, err
	}
	transport, err := callTransport(f.caFile)
	if err != nil {
		return nil, err
	}
	o := &operator{base: at, token: token, http: &http.Client{
		Timeout:       adminWithin,
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token goes nowhere else
	}}
	path, socket := strings.CutPrefix(at, "unix:")
	if !socket && !(isSocket(at) && !strings.Contains(at, "://")) {
		if loopbackURL(at) {
			transport.Proxy = nil
		}
		return o, checkAdminURL(at, f.plaintext)
	}
	transport.Proxy = nil // on this machine there is none, whatever HTTP_PROXY says
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	o.base = "http://admin" // the name is nobody's: the socket is where it goes
	return o, nil
}

// whereAdmin takes, in this order: what the flags say, what the variables say, the coatcheck dev that runs here. The token of
// a coatcheck dev goes to that one and nowhere else.
func whereAdmin(f adminFlags) (at, token string, err error) {
	at = strings.TrimSuffix(cmp.Or(f.admin, os.Getenv(adminVariable)), "/")
	if token, err = adminToken(f.tokenFile); err != nil || at != "" && token != "" {
		return at, token, err
	}
	dev, err := loadDevState(at)
	switch {
	case err == nil && (at == "" || dev.Admin == at):
		return dev.Admin, cmp.Or(token, dev.Token), nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", "", err
	case at == "":
		return "", "", &exitError{exitUnavailable, errors.New("no coatcheck dev is running; say where the issuer's admin API is: --admin URL, or the variable " + adminVariable)}
	default:
		return "", "", &exitError{exitUsage, errors.New("the admin token is needed: --admin-token-file FILE, or the variable " + adminTokenVariable)}
	}
}

// checkAdminURL: the token goes out in the header, so the way must be this machine's, or encrypted.
func checkAdminURL(at string, plaintext bool) error {
	u, err := url.Parse(at)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "":
		return &exitError{exitUsage, fmt.Errorf("--admin %q is no URL such as http://127.0.0.1:8083, and no path of a unix socket", at)}
	case u.Scheme == "http" && !plaintext && !loopbackURL(at):
		return &exitError{exitUsage, fmt.Errorf("--admin %s: http beyond this machine shows the token to the network; use https, or say --insecure-plaintext if the network encrypts by itself", at)}
	}
	return nil
}

func loopbackURL(at string) bool {
	u, err := url.Parse(at)
	return err == nil && loopback(net.JoinHostPort(u.Hostname(), "0"))
}

// othersMay is what a token file must not let others do: those of its group may read it, as with the secrets of a
// configuration.
const othersMay = 0o027

// adminToken reads the token from its file, or else from its variable; empty: neither is there.
func adminToken(file string) (string, error) {
	if file == "" {
		return os.Getenv(adminTokenVariable), nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrPermission) {
		return "", &exitError{exitNotPermitted, fmt.Errorf("--admin-token-file: %w; run as its owner", err)}
	}
	if err != nil {
		return "", &exitError{exitUsage, fmt.Errorf("--admin-token-file: %w", err)}
	}
	if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&othersMay != 0 {
		return "", &exitError{exitUsage, fmt.Errorf("--admin-token-file: %s has mode %04o, so others than its owner and group may use it; chmod 600 %s", file, info.Mode().Perm(), file)}
	}
	token := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if token == "" || strings.ContainsAny(token, "\r\n \t") {
		return "", &exitError{exitUsage, fmt.Errorf("--admin-token-file: %s is not one line with the token and nothing else; make it so", file)}
	}
	return token, nil
}

// ask sends one request and decodes the answer into to. A refusal is an error with the exit code that fits it, and the
// issuer's words.
func (o *operator) ask(ctx context.Context, method, path string, query url.Values, body, to any) error {
	req, err := o.request(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	res, err := o.http.Do(req)
	if err != nil {
		return &exitError{exitUnavailable, fmt.Errorf("ask the admin API at %s: %w; is the issuer running, and listen.admin set?", o.base, errors.Unwrap(err))}
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAdminAnswer))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return &exitError{exitUnavailable, fmt.Errorf("read the answer of the admin API at %s: %w", o.base, err)}
	}
	if res.StatusCode != http.StatusOK {
		return o.refused(res.StatusCode, answer)
	}
	if err := json.Unmarshal(answer, to); err != nil {
		return fmt.Errorf("the admin API at %s answered with something else than expected: %w; is it of another version?", o.base, err)
	}
	return nil
}

func (o *operator) request(ctx context.Context, method, path string, query url.Values, body any) (*http.Request, error) {
	target := o.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(text))
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// refused is the issuer's no.
func (o *operator) refused(status int, answer []byte) error {
	var problem struct {
		Detail string `json:"detail"`
	}
	_ = json.Unmarshal(answer, &problem) // what is not ours has no detail
	code := exitUnexpected
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity:
		code = exitUsage
	case http.StatusUnauthorized, http.StatusForbidden:
		code = exitNotPermitted
	case http.StatusNotFound:
		code = exitNo
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		code = exitUnavailable
	}
	return &exitError{code, fmt.Errorf("the admin API at %s says %d: %s", o.base, status, cmp.Or(problem.Detail, http.StatusText(status)))}
}

package issuer

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// recorder is a revoker that writes to the store at once and waits for nobody; it tells which of its two ways a request
// took, and can be told to fail.
type recorder struct {
	store  store.Backend
	author store.Author

	mu           sync.Mutex // guards all below
	number       uint64
	calls        []string                // "revoke KIND NAME", or "pretend"
	orders       []revocation.Revocation // of those calls
	err          error                   // what both ways answer
	beforeAnswer func()                  // if not nil, called when a revocation is in the store
	waiting      chan struct{}           // if not nil, both ways wait for it
}

func newRecorder(t testing.TB, s store.Backend) *recorder {
	t.Helper()
	r := &recorder{store: s, author: store.Author{Issuer: storetest.Issuer, Journal: "journal-of-" + strings.ReplaceAll(t.Name(), "/", "-")}}
	if len(r.author.Journal) > 64 {
		r.author.Journal = r.author.Journal[:64]
	}
	storetest.Open(t, s)
	for shard := range s.Shards() {
		if err := s.Enrol(t.Context(), shard, r.author, ""); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *recorder) Revoke(ctx context.Context, rs ...revocation.Revocation) (revocation.Receipt, error) {
	var calls []string
	for _, one := range rs {
		calls = append(calls, "revoke "+string(one.Kind)+" "+one.Name)
	}
	if err := r.called(ctx, rs, calls...); err != nil {
		return revocation.Receipt{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	receipt := revocation.Receipt{Seq: make([]uint64, r.store.Shards())}
	for _, one := range rs {
		r.number++
		for shard := range r.store.Shards() {
			if one.Kind == revocation.Token && shard != r.store.ShardOf(one.Name) {
				continue
			}
			done, err := r.store.Revoke(ctx, shard, r.author, "", []store.Numbered{{Number: r.number, Revocation: one}}, 0)
			if err != nil {
				return revocation.Receipt{}, err
			}
			receipt.Seq[shard] = done.At.Seq
			if done.Found[0] {
				receipt.Found++
			}
		}
	}
	receipt.Number = r.number
	if r.beforeAnswer != nil {
		r.beforeAnswer()
	}
	return receipt, nil
}

func (r *recorder) Pretend(ctx context.Context) error { return r.called(ctx, nil, "pretend") }

func (r *recorder) called(ctx context.Context, rs []revocation.Revocation, calls ...string) error {
	r.mu.Lock()
	r.calls = append(r.calls, calls...)
	r.orders = append(r.orders, rs...)
	err, waiting := r.err, r.waiting
	r.mu.Unlock()
	if waiting != nil {
		select {
		case <-waiting:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// said are the calls since the last time.
func (r *recorder) said() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// hold lets what comes in wait until the returned function is called.
func (r *recorder) hold() (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := make(chan struct{})
	r.waiting = waiting
	return func() { close(waiting) }
}

// revocationOf is a form that asks to revoke, from the client shop; pairs add to it or replace.
func revocationOf(token string, pairs ...string) url.Values {
	f := shop(append([]string{"token", token}, pairs...)...)
	f.Del("grant_type")
	return f
}

// postRevoke sends a form to the revocation endpoint; headers may be nil.
func (k *kit) postRevoke(t testing.TB, f url.Values, h http.Header) *httptest.ResponseRecorder {
	t.Helper()
	return k.sendRevoke(t, http.MethodPost, f.Encode(), h)
}

func (k *kit) sendRevoke(t testing.TB, method, body string, h http.Header) *httptest.ResponseRecorder {
	t.Helper()
	return k.sendForm(t, method, k.place.revokePath(), body, h)
}

// sendForm sends a form to an endpoint; headers may be nil.
func (k *kit) sendForm(t testing.TB, method, path, body string, h http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, values := range h {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	k.Handler().ServeHTTP(w, r)
	return w
}

// wantRevoked checks that an answer is the one answer of success.
func wantRevoked(t testing.TB, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != http.StatusOK || w.Body.Len() > 0 {
		t.Errorf("%s: got %d %q, want 200 and nothing", what, w.Code, w.Body)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s: Cache-Control %q, want no-store", what, got)
	}
}

// lives reports whether the store still has the grant of a reference.
func (k *kit) lives(t testing.TB, reference string) bool {
	t.Helper()
	_, err := k.store.Take(t.Context(), k.jti(t, reference))
	return err == nil
}

func (k *kit) jti(t testing.TB, reference string) string {
	t.Helper()
	ref, err := k.stamper.Parse(reference)
	if err != nil {
		t.Fatal(err)
	}
	return ref.JTI()
}

// signed is a JWT by the kit's active key.
func (k *kit) signed(t testing.TB, typ string, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	r, err := k.keeper.Current()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := r.Active().Sign(typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// claimsOf are the claims of one of our access tokens; pairs add to them or, with nil, take away.
func claimsOf(client string, pairs ...any) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{
		"iss": testIssuer, "sub": "client:" + client, "aud": "orders-api", "client_id": client,
		"iat": now, "exp": now + 60, "jti": "00112233445566778899aabbccddeeff",
	}
	for n := 0; n < len(pairs); n += 2 {
		if pairs[n+1] == nil {
			delete(c, pairs[n].(string))
		} else {
			c[pairs[n].(string)] = pairs[n+1]
		}
	}
	return c
}

// operate sends a request to one of the operations, as the admin listener hands it on.
func (k *kit) operate(t testing.TB, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	for _, o := range k.Operations() {
		mux.Handle(o.Method+" "+o.Path, o.Handle)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = u
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Request-Id", "request-1")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

// order revokes, and reads the answer; anything but a 200 ends the test.
func (k *kit) order(t testing.TB, body string) revocationAnswer {
	t.Helper()
	w := k.operate(t, "POST", "/v1/revocations", body)
	var a revocationAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: got %d %s, want 200", body, w.Code, w.Body)
	}
	return a
}

// wantFault checks the answer of an operation that was not done.
func wantFault(t testing.TB, what string, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var body struct {
		Code, Detail string
		RequestID    string `json:"request_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != status || body.Code != code || body.Detail == "" || body.RequestID != "request-1" {
		t.Errorf("%s: got %d %s, want %d %s, a detail and the id of the request", what, w.Code, w.Body, status, code)
	}
	if kind, keep := w.Header().Get("Content-Type"), w.Header().Get("Cache-Control"); kind != "application/problem+json" || keep != "no-store" {
		t.Errorf("%s: Content-Type %q, Cache-Control %q", what, kind, keep)
	}
}

// follow reads the log until the test ends, for the edge and for what is minted from here on, and waits for the first
// lease. Under synctest.
func (k *kit) follow(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.read.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("follower: %v", err)
		}
	})
	time.Sleep(time.Second)
	if err := k.read.Ready(); err != nil {
		t.Fatal(err)
	}
	k.depositor = exchange.NewDepositor(k.stamper, k.store, k.read)
}

package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coatcheck/coatcheck/exchange"
	"github.com/coatcheck/coatcheck/store"
)

// writer keeps what a Depositor puts, and answers what a test wants.
type writer struct {
	record store.Record
	quota  store.Quota
	err    error
}

func (w *writer) Put(_ context.Context, r store.Record, q store.Quota) error {
	w.record, w.quota = r, q
	return w.err
}

func (w *writer) Shards() int { return 1 }

func (w *writer) ShardOf(string) int { return 0 }

func TestDepositWritesTheClearFieldsAndNothingElse(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	d := k.draft()
	w := &writer{}
	if err := exchange.NewDepositor(k.stamper, w, k.follower).Deposit(t.Context(), d.reference, d.deposit()); err != nil {
		t.Fatal(err)
	}
	want := store.Record{
		JTI: d.reference.JTI(), Blob: w.record.Blob, IssuedAt: d.manifest.IssuedAt, ExpiresAt: d.manifest.ExpiresAt,
		KeyID: "key-1", Client: "clienthandle", Family: "familyhandle", Subject: "subjecthandle",
		Since: k.follower.Since(0),
	}
	if diff := cmp.Diff(want, w.record); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(store.Quota{Grants: 10_000, Bytes: 40 << 20}, w.quota); diff != "" {
		t.Errorf("default quota (-want +got):\n%s", diff)
	}
	for name, secret := range map[string]string{
		"the reference": d.reference.Reveal(), "a JWT": d.tokens["orders-api"].Reveal(), "the client": "partner-shop", "a scope": "orders:read",
	} {
		if strings.Contains(string(w.record.Blob), secret) {
			t.Errorf("the blob shows %s", name)
		}
	}
}

func TestDepositPassesTheClientsOwnQuota(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	w := &writer{}
	d := k.draft()
	p := d.deposit()
	p.MaxGrants, p.MaxBytes = 7, 1<<20
	if err := exchange.NewDepositor(k.stamper, w, k.follower).Deposit(t.Context(), d.reference, p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(store.Quota{Grants: 7, Bytes: 1 << 20}, w.quota); diff != "" {
		t.Errorf("quota (-want +got):\n%s", diff)
	}
}

func TestDepositTellsItsErrorsApart(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	sentinels := []error{exchange.ErrQuota, exchange.ErrRevoked, exchange.ErrTooLarge, exchange.ErrUnavailable}
	for _, row := range []struct{ put, want error }{
		{store.ErrQuota, exchange.ErrQuota},
		{store.ErrRevoked, exchange.ErrRevoked},
		{store.ErrUnavailable, exchange.ErrUnavailable},
		{fmt.Errorf("%w: %w", store.ErrUnavailable, store.ErrClosed), exchange.ErrUnavailable},
		{store.ErrExists, exchange.ErrUnavailable}, // 256 random bits do not repeat: a bug or an attack
		{context.DeadlineExceeded, exchange.ErrUnavailable},
	} {
		d := k.draft()
		w := &writer{err: fmt.Errorf("put: %w", row.put)}
		err := exchange.NewDepositor(k.stamper, w, k.follower).Deposit(t.Context(), d.reference, d.deposit())
		for _, s := range sentinels {
			if errors.Is(err, s) != errors.Is(row.want, s) {
				t.Errorf("store says %v: deposit says %v, want only %v", row.put, err, row.want)
			}
		}
		if strings.Contains(err.Error(), d.reference.Reveal()) {
			t.Errorf("the error shows the reference: %v", err)
		}
	}
}

func TestDepositRefusesWhatNoEdgeWouldAccept(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	for _, row := range []struct {
		name string
		bend func(*draft, *exchange.Deposit)
		want error
	}{
		{"nothing bent", func(*draft, *exchange.Deposit) {}, nil},
		{"a JWT over 4 KiB", func(d *draft, p *exchange.Deposit) {
			p.Tokens["orders-api"] = exchange.NewToken(strings.Repeat("t", exchange.MaxToken+1))
			d.manifest.Shares["orders-api"] = share(p.Tokens["orders-api"])
			p.Manifest = d.sign(d.manifest.Claims())
		}, exchange.ErrTooLarge},
		{"a record over 32 KiB", func(d *draft, p *exchange.Deposit) {
			for i := range 8 {
				audience := fmt.Sprint("audience-", i)
				p.Tokens[audience] = exchange.NewToken(strings.Repeat("t", exchange.MaxToken))
				d.manifest.Shares[audience] = share(p.Tokens[audience])
			}
			p.Manifest = d.sign(d.manifest.Claims())
		}, exchange.ErrTooLarge},
		{"other handles than the manifest", func(_ *draft, p *exchange.Deposit) { p.Handles.Family = "another" }, exchange.ErrUnavailable},
		{"a handle that is empty", func(d *draft, p *exchange.Deposit) {
			d.manifest.Handles.Subject, p.Handles.Subject = "", ""
			p.Manifest = d.sign(d.manifest.Claims())
		}, exchange.ErrUnavailable},
		{"a manifest for another reference", func(d *draft, _ *exchange.Deposit) { d.reference = k.depositor.Reference() }, exchange.ErrUnavailable},
		{"another expiry than the manifest", func(_ *draft, p *exchange.Deposit) { p.ExpiresAt = p.ExpiresAt.Add(time.Second) }, exchange.ErrUnavailable},
		{"an audience without its token", func(_ *draft, p *exchange.Deposit) { delete(p.Tokens, "billing-api") }, exchange.ErrUnavailable},
		{"a token without its share", func(_ *draft, p *exchange.Deposit) { p.Tokens["x"] = p.Tokens["orders-api"] }, exchange.ErrUnavailable},
		{"a token that was signed again", func(_ *draft, p *exchange.Deposit) {
			p.Tokens["orders-api"] = exchange.NewToken(fakeJWT("orders"))
		}, exchange.ErrUnavailable},
		{"no manifest", func(_ *draft, p *exchange.Deposit) { p.Manifest = "" }, exchange.ErrUnavailable},
	} {
		d := k.draft()
		p := d.deposit()
		row.bend(d, &p)
		if err := k.depositor.Deposit(t.Context(), d.reference, p); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}

func TestManifestClaimsAreThoseOfVersionOne(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	d := k.draft()
	var names []string
	for name := range d.manifest.Claims() {
		names = append(names, name)
	}
	want := map[string]bool{"iss": true, "aud": true, "jti": true, "iat": true, "exp": true, "version": true, "client_id": true, "handles": true, "shares": true}
	for _, name := range names {
		if !want[name] {
			t.Errorf("claim %q is not of version 1", name)
		}
	}
	if len(names) != len(want) {
		t.Errorf("claims %q, want %d", names, len(want))
	}
}

// What a grant rests on is for issuers: it comes through whole to one that keeps it, and no edge does.
func TestOriginsAreForIssuersAlone(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{true, false} {
		k := newKit(t, hold, func(c *exchange.Config) { c.Origins = keep })
		d := k.draft()
		d.manifest.Origin = "what-the-issuer-sealed"
		if err := k.depositor.Deposit(t.Context(), d.reference, d.deposit()); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "what-the-issuer-sealed"}[keep]
		for range 2 { // the second from the cache
			p, _, err := k.edge.Swap(t.Context(), d.reference.Reveal(), exchange.Strict)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Grant().Origin(); got != want {
				t.Errorf("Origins %v: got %q, want %q", keep, got, want)
			}
		}
	}
}

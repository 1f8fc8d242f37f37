package issuer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
)

// revocationAnswer says what a revocation did, or would do.
type revocationAnswer struct {
	Kind   revocation.Kind `json:"kind"`
	Name   string          `json:"name"` // as the log has it: a jti, a handle, a key id or Unix seconds
	DryRun bool            `json:"dry_run"`
	// Found counts the grants that are named. A dry run counts live ones; else those that were still in the store, also
	// ones that an earlier revocation had ended. Complete: none was left out of the count.
	Found    int  `json:"found"`
	Complete bool `json:"complete"`
	// What follows is of a revocation that was made.
	Number    uint64     `json:"number,omitempty"`    // in this issuer's journal
	Positions []uint64   `json:"positions,omitempty"` // of it in the log, by shard; 0: not concerned
	Withdrawn bool       `json:"withdrawn,omitempty"` // a key: it is in no ring and no key set any more
	Edges     []seenEdge `json:"edges,omitempty"`     // for people; nothing relies on it
	TookMS    float64    `json:"took_ms"`
}

// countTime bounds the count of a dry run.
const countTime = 5 * time.Second

// postRevocation revokes what an order names. The caller may hang up: what he asked for is done all the same.
func (i *Issuer) postRevocation(w http.ResponseWriter, r *http.Request) (any, *fault) {
	started := time.Now()
	o, wrong := readOrder(w, r)
	if wrong != nil {
		return nil, wrong
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), revokeTimeout)
	defer cancel()
	n := i.names()
	named, wrong := n.revocation(ctx, o)
	if wrong != nil {
		return nil, wrong
	}
	answer := revocationAnswer{Kind: named.Kind, Name: named.Name, DryRun: o.dryRun}
	if o.dryRun {
		wrong = i.rehearse(ctx, named, &answer)
	} else {
		wrong = i.carryOut(ctx, named, n.others(o, named), &answer)
	}
	answer.TookMS = milliseconds(time.Since(started))
	i.logOrder(r, o, answer, wrong)
	if wrong != nil {
		return nil, wrong
	}
	return answer, nil
}

// rehearse counts what would end.
func (i *Issuer) rehearse(ctx context.Context, r revocation.Revocation, a *revocationAnswer) *fault {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	var err error
	a.Found, a.Complete, err = i.count(ctx, r, func(l revocation.Listed) bool { return !l.Revoked })
	if err != nil {
		return storeAway(err)
	}
	return nil
}

// carryOut revokes at once, and counts beside it: no revocation waits for a count. So the count sees grants that have
// just ended, and cannot tell them from those that ended earlier. What is named by also ends too, and is not counted.
func (i *Issuer) carryOut(ctx context.Context, r revocation.Revocation, also []revocation.Revocation, a *revocationAnswer) *fault {
	counting, enough := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer enough()
	if r.Kind != revocation.Token {
		beside.Go(func() {
			// What was counted until the store failed is shown as incomplete.
			a.Found, a.Complete, _ = i.count(counting, r, func(revocation.Listed) bool { return true })
		})
	}
	end := i.revoker.Revoke
	if r.Kind == revocation.Key {
		end = i.revokeKey
	}
	receipt, err := end(ctx, append([]revocation.Revocation{r}, also...)...)
	if err != nil {
		return notEnded(err)
	}
	a.Number, a.Positions, a.Withdrawn = receipt.Number, receipt.Seq, r.Kind == revocation.Key
	a.Edges = i.edges(ctx, receipt.Seq)
	enough()
	beside.Wait()
	if r.Kind == revocation.Token {
		a.Found, a.Complete = receipt.Found, true
	}
	return nil
}

var errNotWithdrawn = errors.New("issuer: signing key is revoked, and still in the key ring")

// revokeKey revokes a key in the log and takes it out of the ring, at the same time. When it returns nil
//
//   - every edge refuses what the key has signed, because of the log;
//   - nothing new can be deposited that it signs, by any issuer, because of the key's floor, which stands for ever;
//   - this issuer does not sign with it, the others stop at their next look at the ring, and nobody publishes it.
//
// Whichever comes first, there is no gap: what is deposited before the floor stands ends by it.
func (i *Issuer) revokeKey(ctx context.Context, rs ...revocation.Revocation) (revocation.Receipt, error) {
	var withdrawn error
	var beside sync.WaitGroup
	beside.Go(func() { withdrawn = i.keeper.Withdraw(ctx, rs[0].Name) })
	receipt, err := i.revoker.Revoke(ctx, rs...)
	beside.Wait()
	if err == nil && withdrawn != nil {
		err = fmt.Errorf("%w: %w", errNotWithdrawn, withdrawn)
	}
	return receipt, err
}

// logOrder writes down who asked for what, why, and how it ended. A subject is named by its handle alone.
func (i *Issuer) logOrder(r *http.Request, o order, a revocationAnswer, wrong *fault) {
	level, message := slog.LevelInfo, "revoked by an operator"
	if o.dryRun {
		message = "revocation rehearsed by an operator"
	}
	attrs := []slog.Attr{
		slog.String("caller", i.caller(r)), slog.String("request_id", requestID(r)),
		slog.String("by", o.by), slog.String("kind", string(a.Kind)), slog.String("name", a.Name),
		slog.String("reason", o.reason), slog.Int("found", a.Found), slog.Uint64("number", a.Number),
		slog.Float64("duration_ms", a.TookMS),
	}
	if o.by == "client" {
		attrs = append(attrs, slog.String("client", o.value))
	}
	if wrong != nil {
		level, message = slog.LevelError, "revocation asked for by an operator failed"
		attrs = append(attrs, slog.String("outcome", wrong.code), slog.Any("error", wrong.cause))
	}
	i.logger.LogAttrs(r.Context(), level, message, attrs...)
	if !o.dryRun {
		i.trail.Note("operator_revoke", attrs...) // that he asked for it is written down already
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

package revocation

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

// The pace of pulling. A lease outlives three pulls that fail at once, and one that is given up.
const (
	pullsPerLease = 4
	firstLease    = 500 * time.Millisecond // until the store has told one
	leastPause    = 5 * time.Millisecond
	mostPause     = 500 * time.Millisecond // between pulls while no shard answers
	leastPatience = 100 * time.Millisecond // with one pull
	mostPatience  = time.Second            // with one pull after another that failed: the way may just be long
)

var errMute = errors.New("the store has not spoken of this shard")

// pace is how fast to pull, by what the last pull brought.
type pace struct {
	lease  time.Duration // the shortest of all shards
	pause  time.Duration // while no shard answers; 0: some do
	jitter func(time.Duration) time.Duration
}

func (p *pace) learn(lease time.Duration, heard bool) {
	if p.lease = lease; heard {
		p.pause = 0
		return
	}
	p.pause = min(max(2*p.pause, lease/pullsPerLease), mostPause)
}

// patience is how long to wait for one answer: so short that, if it is lost, another pull can save the lease.
func (p pace) patience() time.Duration {
	if p.pause > 0 {
		return max(p.lease, mostPatience)
	}
	return max(p.lease/2, leastPatience)
}

// next is the time from one pull's sending to the next one's. Followers that were started together drift apart.
func (p pace) next() time.Duration {
	d := max(p.lease/pullsPerLease, leastPause, p.pause)
	return d - d/10 + p.jitter(d/5)
}

// Run pulls until ctx ends; it returns nil then. It is called once.
func (f *Follower) Run(ctx context.Context) error {
	defer f.rounds.Wait()
	p := pace{lease: firstLease, jitter: f.jitter}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		began := time.Now()
		more, heard := f.pull(ctx, p.patience())
		p.learn(f.shortest(), heard)
		f.confirm(ctx)
		if more {
			timer.Reset(0)
		} else {
			timer.Reset(p.next() - time.Since(began))
		}
	}
}

// pull asks once and applies the answers. The moment that leases are counted from is taken before the question is sent:
// whatever was revoked before it is in the answer.
func (f *Follower) pull(ctx context.Context, patience time.Duration) (more, heard bool) {
	after := make([]store.Position, len(f.shards))
	for i, s := range f.shards {
		after[i] = s.at // written by this goroutine alone
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sent := f.moment(time.Now())
	answers := f.log.Pull(asking, after, f.name)
	if ctx.Err() != nil {
		return false, false // the process ends; that is no trouble of any shard
	}
	for i, s := range f.shards {
		a := store.Pulled{Err: errMute}
		if i < len(answers) {
			a = answers[i]
		}
		err := f.apply(s, sent, a)
		known := after[i] != store.Position{}
		if known && (a.Flush || errors.Is(err, errTorn)) {
			f.reportFlush(ctx, s)
		}
		f.report(ctx, s, a, err)
		more = more || errors.Is(err, errBehind) || known && errors.Is(err, errTorn)
		heard = heard || a.Err == nil
	}
	return more, heard
}

// report counts what an answer brought, and logs once when a shard's lease is lost, and once when it is back. Until there has
// been a first one nothing is lost: a process that starts before the store is open waits like any other.
func (f *Follower) report(ctx context.Context, s *followed, a store.Pulled, err error) {
	f.meters.applied(ctx, a.Entries)
	has := s.lease.Load().left(f.moment(time.Now())) > 0
	switch {
	case !has && !s.lost:
		if err == nil {
			err = errLate
		}
		level, message := slog.LevelWarn, "revocation: the lease is lost"
		if !s.held {
			level, message = slog.LevelInfo, "revocation: waiting for the store to be opened"
		}
		f.logger.LogAttrs(ctx, level, message, slog.Int("shard", s.number), slog.Any("error", err))
	case has && s.lost:
		message := "revocation: the lease is back"
		if !s.held {
			message = "revocation: the store is open, and the first lease is there"
		}
		f.logger.LogAttrs(ctx, slog.LevelInfo, message, slog.Int("shard", s.number))
	}
	s.held, s.lost = s.held || has, !has
}

// reportFlush: before the first lease nothing was kept that could be forgotten.
func (f *Follower) reportFlush(ctx context.Context, s *followed) {
	f.meters.flushed(ctx, s.number)
	level := slog.LevelDebug
	if s.held {
		level = slog.LevelWarn
	}
	f.logger.LogAttrs(ctx, level, "revocation: everything kept from a shard is forgotten: its log does not go on from what was read",
		slog.Int("shard", s.number))
}

// shortest is the shortest lease that any shard has told.
func (f *Follower) shortest() time.Duration {
	var shortest time.Duration
	for _, s := range f.shards {
		if runs := s.lease.Load().runs; runs > 0 && (shortest == 0 || runs < shortest) {
			shortest = runs
		}
	}
	if shortest == 0 {
		return firstLease
	}
	return shortest
}

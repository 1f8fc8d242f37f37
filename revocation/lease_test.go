package revocation_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

// slow makes every answer take d.
func slow(d time.Duration) func(context.Context, int) {
	return func(context.Context, int) { time.Sleep(d) }
}

func TestLeaseRunsFromSending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		l.before = slow(150 * time.Millisecond)
		f := follow(t, l)
		pass(150 * time.Millisecond)
		if got, want := f.Left(0, time.Now()), leaseLength-150*time.Millisecond; got != want {
			t.Errorf("an answer that took 150 ms gives a lease of %v more, want %v", got, want)
		}
	})
}

func TestLeaseOfALateAnswerIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		l.deaf = true
		f := follow(t, l)
		k := keep(t, f, l, 0, "one")
		l.change(func() { l.before = slow(leaseLength) })
		for range 1000 { // 5 s: the first lease ends, and each answer is older than the lease that it brings
			pass(5 * time.Millisecond)
			if now := time.Now(); f.Left(0, now) <= 0 && k.holds() {
				t.Fatal("a kept answer holds without a lease")
			}
		}
		if left := f.Left(0, time.Now()); left > 0 {
			t.Errorf("answers that took as long as a lease left %v of it, want none", left)
		}
		if err := f.Ready(); err == nil || !strings.Contains(err.Error(), "shard 0") {
			t.Errorf("Ready = %v, want an error that names shard 0", err)
		}
	})
}

func TestLeaseEndsWithLostAnswersAndTheRevocationDoesNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := follow(t, l)
		one, two := keep(t, f, l, 0, "one"), keep(t, f, l, 0, "two")
		began := time.Now()
		l.change(func() { l.after = func(context.Context, int) bool { return false } })
		l.revoke(0, store.KindToken, "jti-one")
		if !one.holds() {
			t.Fatal("a kept answer does not hold under its lease")
		}
		pass(leaseLength - time.Nanosecond)
		if !one.holds() {
			t.Errorf("the lease ended after %v, want %v", time.Since(began), leaseLength)
		}
		pass(time.Nanosecond)
		if one.holds() || two.holds() {
			t.Errorf("kept answers hold %v after the last pull that was answered, want a lease of %v", time.Since(began), leaseLength)
		}
		l.change(func() { l.after = nil })
		pass(3 * time.Second)
		if one.holds() || !two.holds() {
			t.Errorf("when answers come again, kept answers hold: %t, %t; want only the second", one.holds(), two.holds())
		}
	})
}

func TestLeaseOutlivesOneLostAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		l.after = func(_ context.Context, nth int) bool { return nth%5 != 0 }
		f := follow(t, l)
		for range 2000 {
			pass(5 * time.Millisecond)
			if err := f.Ready(); err != nil {
				t.Fatalf("every fifth answer is lost, and the lease too: %v", err)
			}
		}
	})
}

func TestLeaseEndsWhenTheMachineWasSuspended(t *testing.T) {
	t.Parallel()
	for name, shift := range map[string]time.Duration{
		"wall clock goes on for an hour while the monotonic one stands": time.Hour,
		"wall clock goes on for just a lease":                           leaseLength,
		"wall clock is set back by an hour":                             -time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog(1)
				f := newFollower(t, revocation.FollowerConfig{Log: l})
				awake := make(chan struct{})
				l.before = func(_ context.Context, nth int) {
					if nth == 2 {
						<-awake
					}
				}
				run(t, f)
				pass(leaseLength / 2)
				k := keep(t, f, l, 0, "one")
				if !k.holds() {
					t.Fatal("a kept answer does not hold under its lease")
				}
				f.ShiftWall(shift)
				if k.holds() || f.Left(0, time.Now()) > 0 {
					t.Errorf("wall clock moved by %v, and the lease has %v left, want none", shift, f.Left(0, time.Now()))
				}
				close(awake)
				pass(leaseLength)
				if !k.holds() {
					t.Error("no lease from a pull that was sent after the wall clock had moved")
				}
			})
		})
	}
}

func TestLeaseForgivesASmallStepBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := newFollower(t, revocation.FollowerConfig{Log: l})
		l.before = func(ctx context.Context, nth int) {
			if nth == 2 {
				<-ctx.Done()
			}
		}
		run(t, f)
		pass(leaseLength / 4)
		f.ShiftWall(-leaseLength / 2)
		if got, want := f.Left(0, time.Now()), leaseLength*3/4; got != want {
			t.Errorf("after a step back by half a lease %v are left, want %v: the monotonic clock decides", got, want)
		}
	})
}

func TestLeaseIsWhatTheStoreSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		f := follow(t, l)
		for _, c := range []struct{ said, want time.Duration }{
			{100 * time.Millisecond, 100 * time.Millisecond}, // lowered: at once
			{2 * time.Second, 2 * time.Second},
			{time.Hour, time.Minute}, // capped
			{0, 0},
			{-time.Second, 0},
		} {
			l.change(func() { l.shards[0].lease = c.said })
			pass(time.Minute)
			most := time.Duration(0)
			for range 1000 {
				pass(time.Millisecond)
				most = max(most, f.Left(0, time.Now()))
			}
			if most > c.want || most < c.want*3/4-time.Millisecond {
				t.Errorf("the store says %v: the lease has up to %v left, want %v", c.said, most, c.want)
			}
		}
	})
}

func TestReadyNamesTheShardAndWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(2)
		f := newFollower(t, revocation.FollowerConfig{Log: l})
		if err := f.Ready(); err == nil || !strings.Contains(err.Error(), "shard 0") || !strings.Contains(err.Error(), "shard 1") {
			t.Errorf("Ready before the first pull = %v, want an error that names both shards", err)
		}
		run(t, f)
		pass(0)
		if err := f.Ready(); err != nil {
			t.Fatalf("Ready = %v", err)
		}
		l.change(func() { l.shards[1].err = errors.Join(store.ErrUnavailable, store.ErrClosed) })
		open := keep(t, f, l, 0, "open")
		for range 400 {
			pass(5 * time.Millisecond)
			if !open.holds() {
				t.Fatal("shard 0 lost its lease when shard 1 was closed")
			}
		}
		err := f.Ready()
		if err == nil || !strings.Contains(err.Error(), "shard 1") || strings.Contains(err.Error(), "shard 0") || !errors.Is(err, store.ErrClosed) {
			t.Errorf("Ready = %v, want store.ErrClosed of shard 1 alone", err)
		}
	})
}

package issuer

import (
	"fmt"
	"testing"
	"time"
)

func TestPaceIsATokenBucket(t *testing.T) {
	t.Parallel()
	p := newPace[string](2, 3)
	now := testNow
	for n := range 3 {
		if wait := p.take("a", now); wait != 0 {
			t.Errorf("%d of the burst waits %v", n, wait)
		}
	}
	for range 5 { // refused ones cost nothing
		if wait := p.take("a", now); wait != 500*time.Millisecond {
			t.Errorf("over the burst: wait %v, want 500ms", wait)
		}
	}
	if wait := p.take("b", now); wait != 0 {
		t.Errorf("somebody else waits %v", wait)
	}
	now = now.Add(500 * time.Millisecond)
	if wait := p.wait("a", now); wait != 0 {
		t.Errorf("half a second later: wait %v", wait)
	}
	if first, second := p.take("a", now), p.take("a", now); first != 0 || second == 0 {
		t.Errorf("half a second later: waits %v, %v; want one let in", first, second)
	}
	now = now.Add(time.Hour)
	for n := range 4 {
		if wait := p.take("a", now); (wait == 0) != (n < 3) {
			t.Errorf("an hour later %d waits %v, want a burst of 3 and no more", n, wait)
		}
	}
	if off := newPace[string](0, 0); off.take("a", now) != 0 || off.wait("a", now) != 0 {
		t.Error("a pace of 0 holds somebody")
	}
}

// However many keys somebody has, what is remembered of them is bounded.
func TestPaceIsBounded(t *testing.T) {
	t.Parallel()
	p := newPace[string](0.001, 1)
	for n := range maxPaced + 1000 {
		p.take(fmt.Sprint(n), testNow)
	}
	if len(p.free) > maxPaced {
		t.Errorf("%d keys are remembered, want at most %d", len(p.free), maxPaced)
	}
	for n := range maxPaced {
		p.take(fmt.Sprint("later", n), testNow.Add(time.Hour))
	}
	stale := 0
	for _, free := range p.free {
		if free.Before(testNow.Add(time.Hour)) {
			stale++
		}
	}
	if stale > len(p.free)/10 {
		t.Errorf("of %d that are remembered %d have their whole burst again, want few", len(p.free), stale)
	}
}

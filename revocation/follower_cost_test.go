package revocation_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
)

// handLog answers a pull with what the test hands in. Its leases are as long as can be, so that one pull is enough.
type handLog struct {
	pages       chan []store.Entry
	applied     chan struct{} // the page handed in, or the first answer, has been applied
	handed      bool          // an answer is being applied; of the goroutine that pulls
	incarnation string
	at          store.Position
}

func newHandLog() *handLog {
	return &handLog{pages: make(chan []store.Entry), applied: make(chan struct{}, 1), incarnation: "first", at: store.Position{ID: "0"}}
}

func (l *handLog) Shards() int { return 1 }

func (l *handLog) Pull(ctx context.Context, after []store.Position, _ string) []store.Pulled {
	p := store.Pulled{At: l.at, Lease: time.Minute, Incarnation: l.incarnation}
	if after[0] == (store.Position{}) {
		p.Flush, l.handed = true, true
		return []store.Pulled{p}
	}
	if l.handed {
		l.handed = false
		l.applied <- struct{}{} // who hands in takes one for each
	}
	select {
	case p.Entries = <-l.pages:
		l.handed = true
		for i := range p.Entries {
			l.at = store.Position{Seq: l.at.Seq + 1, ID: "id"}
			p.Entries[i].Position = l.at
		}
		p.At, p.More = l.at, true // so that the next pull comes at once
	case <-ctx.Done():
		p = store.Pulled{Err: store.ErrUnavailable}
	}
	return []store.Pulled{p}
}

func (l *handLog) Take(context.Context, string) (store.Taken, error) {
	return store.Taken{}, store.ErrUnavailable
}

// hand hands in a page, and waits until it has been applied.
func (l *handLog) hand(page []store.Entry) {
	l.pages <- page
	<-l.applied
}

func strangers(n, from int) []store.Entry {
	page := make([]store.Entry, n)
	for i := range page {
		page[i].Revocation = store.Revocation{Kind: store.KindToken, Name: fmt.Sprintf("%032x", from+i)}
	}
	return page
}

// leased is a follower with a lease of a minute, and a grant kept under it.
func leased(tb testing.TB) (*handLog, *revocation.Follower, *kept) {
	tb.Helper()
	l := newHandLog()
	f, err := revocation.NewFollower(revocation.FollowerConfig{Log: l, Jitter: func(time.Duration) time.Duration { return -time.Hour }}) // a pull is always due
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	tb.Cleanup(func() { cancel(); <-done })
	<-l.applied
	k := &kept{f: f, n: names(f, 0, "one")}
	if !f.Keep(&k.mark, store.Taken{Seq: 0, Incarnation: "first"}, &k.n) || !k.holds() {
		tb.Fatal("an answer was not kept, or does not hold")
	}
	return l, f, k
}

// TestMarksAllocateNothing: they are asked on every request.
func TestMarksAllocateNothing(t *testing.T) {
	l, f, k := leased(t)
	now := time.Now()
	answer := store.Taken{Incarnation: "first"}
	l.hand(strangers(1, 0))
	answer.Seq = 1
	for name, ask := range map[string]func(){
		"Holds": func() { f.Holds(&k.mark, &k.n, now) },
		"Left":  func() { f.Left(0, now) },
		"Keep":  func() { f.Keep(&k.mark, answer, &k.n) },
		"Names": func() { k.n = f.Names(0, "a", "b", "c", "d", "e") },
		"Since": func() { f.Since(0) },
	} {
		if n := testing.AllocsPerRun(100, ask); n != 0 {
			t.Errorf("%s allocates %v times, want none", name, n)
		}
	}
}

// TestFollowerKeepsNothingForARevocation applies 100,000 entries and looks at the heap.
func TestFollowerKeepsNothingForARevocation(t *testing.T) {
	l, f, _ := leased(t)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	l.hand(strangers(1000, 0))
	before := heap()
	for page := 1; page < 101; page++ {
		l.hand(strangers(1000, page*1000))
	}
	grown := heap() - before
	t.Logf("100,000 entries applied, the heap grew by %d bytes", grown)
	if f.Since(0).Seq != 101_000 || grown > 100_000 {
		t.Errorf("applied up to %d, and the heap grew by %d bytes; want 101,000 and under one byte for each", f.Since(0).Seq, grown)
	}
}

func BenchmarkHolds(b *testing.B) {
	b.Run("at rest", func(b *testing.B) {
		_, f, k := leased(b)
		now := time.Now()
		b.ReportAllocs()
		for b.Loop() {
			if !f.Holds(&k.mark, &k.n, now) {
				b.Fatal("does not hold")
			}
		}
	})
	b.Run("at rest, all processors", func(b *testing.B) {
		_, f, _ := leased(b)
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			k := &kept{n: names(f, 0, "one")}
			f.Keep(&k.mark, store.Taken{Incarnation: "first"}, &k.n)
			now := time.Now()
			for p.Next() {
				if !f.Holds(&k.mark, &k.n, now) {
					b.Fatal("does not hold")
				}
			}
		})
	})
	b.Run("beside misses", func(b *testing.B) {
		_, f, k := leased(b)
		var stop atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			miss := &kept{n: names(f, 0, "two")}
			for !stop.Load() {
				f.Keep(&miss.mark, store.Taken{Incarnation: "first"}, &miss.n)
			}
		}()
		now := time.Now()
		for b.Loop() {
			f.Holds(&k.mark, &k.n, now)
		}
		stop.Store(true)
		<-done
	})
	b.Run("after an entry", func(b *testing.B) {
		_, f, _ := leased(b)
		fresh := &kept{n: names(f, 0, "two")}
		now := time.Now()
		f.Keep(&fresh.mark, store.Taken{Incarnation: "first"}, &fresh.n)
		b.ReportAllocs()
		for b.Loop() {
			fresh.mark.Forget()
			f.Holds(&fresh.mark, &fresh.n, now)
		}
	})
}

func BenchmarkKeep(b *testing.B) {
	_, f, k := leased(b)
	b.ReportAllocs()
	for b.Loop() {
		f.Keep(&k.mark, store.Taken{Incarnation: "first"}, &k.n)
	}
}

func BenchmarkNames(b *testing.B) {
	_, f, _ := leased(b)
	b.ReportAllocs()
	for b.Loop() {
		f.Names(0, "0123456789abcdef0123456789abcdef", "0123456789abcdefghijkl", "0123456789abcdefghijkl", "0123456789abcdefghijkl", "0123456789abcdefghijkl0123456789abcdefghijk")
	}
}

// BenchmarkApply is one answer of the log, of so many entries, beside so many open streams that it does not name.
func BenchmarkApply(b *testing.B) {
	for _, c := range []struct{ entries, streams int }{{1, 0}, {1, 10_000}, {1000, 0}, {1000, 10_000}} {
		b.Run(fmt.Sprintf("%d entries, %d streams", c.entries, c.streams), func(b *testing.B) {
			l, f, _ := leased(b)
			for i := range c.streams {
				k := &kept{n: names(f, 0, fmt.Sprint(i))}
				f.Keep(&k.mark, store.Taken{Seq: f.Since(0).Seq, Incarnation: "first"}, &k.n)
				w := f.Watch("jti", k.n, &k.mark, time.Now().Add(time.Hour))
				b.Cleanup(w.Stop)
			}
			page := strangers(c.entries, 1<<40)
			for b.Loop() {
				l.hand(page)
			}
		})
	}
}

// BenchmarkWatch is the beginning and the end of a stream.
func BenchmarkWatch(b *testing.B) {
	_, f, k := leased(b)
	b.ReportAllocs()
	for b.Loop() {
		f.Watch("jti", k.n, &k.mark, time.Now().Add(time.Hour)).Stop()
	}
}

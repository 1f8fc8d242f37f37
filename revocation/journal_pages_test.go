package revocation

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
)

// TestPagesAreAListOfEntries compares them with one, while some die, others are added, and the dead are taken out.
func TestPagesAreAListOfEntries(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 3))
		var p pages
		var want []uint64
		until := map[uint64]int64{}
		number := uint64(0)
		for gone := range int64(10) {
			old, was := p.snapshot(), slices.Clone(want)
			for range r.IntN(6000) {
				number += 1 + r.Uint64N(3)
				until[number] = gone + r.Int64N(6) + int64(number/3000)
				p.add(appendEntry(nil, number, 0, ends(Token, fmt.Sprintf("%0*d", 1+r.IntN(64), 7), time.Unix(until[number], 0))))
				want = append(want, number)
			}
			same(t, fmt.Sprint(seed, ": a copy, when more was added"), old, 0, was)
			same(t, fmt.Sprint(seed, ": what was added"), p, 0, want)
			if len(want) > 0 {
				i := r.IntN(len(want))
				same(t, fmt.Sprint(seed, ": after ", want[i]), p, want[i], want[i+1:])
			}
			want = slices.DeleteFunc(want, func(n uint64) bool { return until[n] <= gone })
			if count, _ := p.living(gone); count != len(want) {
				t.Errorf("seed %d: %d alive, want %d", seed, count, len(want))
			}
			kept := p.without(gone)
			p.add(appendEntry(nil, number+1, 0, token("meanwhile")))
			kept.add(appendEntry(nil, number+2, 0, token("after")))
			same(t, fmt.Sprint(seed, ": the old pages, when both were added to"), p, number, []uint64{number + 1})
			number += 2
			until[number] = time.Now().Unix() + 3600
			p, want = kept, append(want, number)
			same(t, fmt.Sprint(seed, ": without the dead"), p, 0, want)
			for i, page := range p.list[:max(0, len(p.list)-1)] {
				if len(page.body) < pageSize*3/4 {
					t.Errorf("seed %d: page %d of %d has %d bytes", seed, i, len(p.list), len(page.body))
				}
			}
		}
	}
}

func same(t *testing.T, what string, p pages, after uint64, want []uint64) {
	t.Helper()
	var got []uint64
	for e := range p.after(after) {
		got = append(got, e.number())
	}
	if !slices.Equal(got, want) || after == 0 && p.count != len(want) {
		t.Errorf("seed %s: %d entries, counted as %d, want %d", what, len(got), p.count, len(want))
	}
}

// TestReadingAJournalNeedsLittleMoreThanItsSize: an issuer whose journal is full must not die of opening it. Not parallel:
// what others allocate would count.
func TestReadingAJournalNeedsLittleMoreThanItsSize(t *testing.T) {
	file := appendHead(nil, newID(), 0)
	for n := uint64(1); n < 100_000; n++ {
		body := appendEntry(nil, n, 0, ends(Token, "0123456789abcdef0123456789abcdef", time.Unix(1e9, 0)))
		file = append(append(file, frame(body)...), body...)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, err := parse(bytes.NewReader(file))
	runtime.ReadMemStats(&after)
	if err != nil || size(c) != 99_999 {
		t.Fatalf("parse: %v, %d entries", err, size(c))
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(len(file)+2*maxBody) {
		t.Errorf("reading %d bytes allocated %d", len(file), got)
	}
}

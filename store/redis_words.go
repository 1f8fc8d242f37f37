package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// words reads what a script of ours wrote, and keeps the first error. The scripts have judged what Redis holds; here it
// is judged who answers: whatever a script of ours cannot have written goes no further, to a cache or to a person.
type words struct{ err error }

func (w *words) fail(why error) {
	if w.err == nil {
		w.err = fmt.Errorf("%w: %w", ErrUnavailable, why)
	}
}

func (w *words) count(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 53)
	if err != nil {
		w.fail(errHead)
		return 0
	}
	return n
}

func (w *words) millis(text string) time.Duration {
	ms := w.count(text)
	if ms > uint64(time.Hour/time.Millisecond) {
		w.fail(errHead)
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// lease is what an edge may use. Less than the head says is always safe; more than maxLease is damage, or hostile.
func (w *words) lease(text string) time.Duration { return min(w.millis(text), maxLease) }

func (w *words) time(text string) time.Time { return w.dated(time.Unix(int64(w.count(text)), 0)) }

// dated refuses a year of more than four digits: JSON has no time for it.
func (w *words) dated(t time.Time) time.Time {
	if t.UTC().Year() > 9999 {
		w.fail(errDisordered)
		return time.Time{}
	}
	return t
}

func (w *words) name(text string) string {
	if err := checkName("name", text); err != nil {
		w.fail(fmt.Errorf("%w: %w", errDisordered, err))
		return ""
	}
	return text
}

// lines takes an answer of several lines apart, each of as many words.
func (w *words) lines(text string, of int) [][]string {
	if text == "" {
		return nil
	}
	var lines [][]string
	for line := range strings.SplitSeq(text, "\n") {
		parts := strings.Split(line, " ")
		if len(parts) != of {
			w.fail(errDisordered)
			return nil
		}
		lines = append(lines, parts)
	}
	return lines
}

func formatCount(n uint64) string { return strconv.FormatUint(n, 10) }

// seconds never says less.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

func shardName(shard int) string { return strconv.Itoa(shard) }

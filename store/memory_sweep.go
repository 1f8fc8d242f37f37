package store

import (
	"container/heap"
	"time"
)

// ending is the moment from which a grant neither lives nor counts.
type ending struct {
	at          int64 // unix seconds
	jti, client string
}

// endings is a heap, soonest first.
type endings []ending

func (e endings) Len() int           { return len(e) }
func (e endings) Less(i, j int) bool { return e[i].at < e[j].at }
func (e endings) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *endings) Push(x any)        { *e = append(*e, x.(ending)) }
func (e *endings) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = ending{} // lets go of its strings
	*e = (*e)[:last]
	return x
}

// sweep clears away the records that have ended and the ledgers that they leave empty, in bounded steps.
// Memory.mu is held.
func (s *memoryShard) sweep(now time.Time) {
	for range sweepSteps {
		if len(s.ends) == 0 || s.ends[0].at > now.Unix() {
			return
		}
		e := heap.Pop(&s.ends).(ending)
		// Under this jti may live a later record, put after the one that has ended.
		if g, ok := s.records[e.jti]; ok && g.end <= now.Unix() {
			delete(s.records, e.jti)
		}
		if s.ledgers[e.client].total(now) == (usage{}) {
			delete(s.ledgers, e.client)
		}
	}
}

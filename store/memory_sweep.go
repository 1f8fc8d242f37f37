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
// m.mu is held.
func (m *Memory) sweep(now time.Time) {
	for range sweepSteps {
		if len(m.ends) == 0 || m.ends[0].at > now.Unix() {
			return
		}
		e := heap.Pop(&m.ends).(ending)
		// Under this jti may live a later record, put after the one that ended was deleted.
		if g, ok := m.records[e.jti]; ok && g.end <= now.Unix() {
			delete(m.records, e.jti)
		}
		if m.ledgers[e.client].total(now) == (usage{}) {
			delete(m.ledgers, e.client)
		}
	}
}

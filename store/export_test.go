package store

import "time"

// Sizes says what a Memory holds.
func (m *Memory) Sizes() (records, clients, endings int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.records), len(m.ledgers), len(m.ends)
}

// SetNow makes Check compare Redis' clock with another one.
func (r *Redis) SetNow(now func() time.Time) { r.now = now }

// JudgeInfo is the part of Check that reads INFO.
func JudgeInfo(text string) []Violation { return judgeInfo(parseInfo(text)) }

// BucketEnd is the bucket of a grant, as Memory counts it.
func BucketEnd(issued, expires int64) int64 { return bucketEnd(issued, expires) }

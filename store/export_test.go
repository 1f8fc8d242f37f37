package store

import (
	"context"
	"net"
	"time"
)

// Sizes says what a Memory holds.
func (m *Memory) Sizes() (records, clients, endings int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.shards {
		records, clients, endings = records+len(s.records), clients+len(s.ledgers), endings+len(s.ends)
	}
	return records, clients, endings
}

// SetNow makes Check compare Redis' clock with another one.
func (r *Redis) SetNow(now func() time.Time) { r.now = now }

// JudgeInfo is the part of Check that reads INFO.
func JudgeInfo(text string) []Violation { return judgeInfo(parseInfo(text)) }

// BucketEnd is the bucket of a grant, as Memory counts it.
func BucketEnd(issued, expires int64) int64 { return bucketEnd(issued, expires) }

// Bounded is how every command is run.
func Bounded(ctx context.Context, limit time.Duration, do func(context.Context) (string, error)) (string, error) {
	return bounded(ctx, limit, do)
}

// BoundReplies is what go-redis reads from.
func BoundReplies(c net.Conn) net.Conn { return boundReplies(c) }

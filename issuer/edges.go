package issuer

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
)

// seenEdge is what an edge told of itself: a comfort for operators. The promise does not rest on it, and an edge that is
// not seen is no reason to worry about a revocation.
type seenEdge struct {
	Edge      string   `json:"edge"`
	SeenMSAgo int64    `json:"seen_ms_ago"`         // by two clocks
	Positions []uint64 `json:"positions,omitempty"` // by shard: how far it has read
	Past      *bool    `json:"past,omitempty"`      // it has read beyond the revocation
}

type edgeList struct {
	Edges []seenEdge `json:"edges"`
}

func (i *Issuer) getEdges(_ http.ResponseWriter, r *http.Request) (any, *fault) {
	seen, err := i.listing.Seen(r.Context())
	if err != nil {
		return nil, storeAway(err)
	}
	list := edgeList{Edges: []seenEdge{}}
	for _, s := range seen {
		e := newSeenEdge(s)
		e.Positions = s.Seq
		list.Edges = append(list.Edges, e)
	}
	return list, nil
}

// edges says which edges have been seen beyond these positions; none where the store cannot tell.
func (i *Issuer) edges(ctx context.Context, positions []uint64) []seenEdge {
	seen, err := i.listing.Seen(ctx)
	if err != nil {
		i.logger.LogAttrs(ctx, slog.LevelWarn, "edges cannot be listed", slog.String("error", err.Error()))
		return nil
	}
	all := make([]seenEdge, len(seen))
	for n, s := range seen {
		all[n] = newSeenEdge(s)
		past := isPast(s, positions)
		all[n].Past = &past
	}
	return all
}

func newSeenEdge(s revocation.Seen) seenEdge {
	return seenEdge{Edge: s.Edge, SeenMSAgo: max(0, time.Since(s.At).Milliseconds())}
}

// isPast: a position of 0 is of a shard that was not concerned.
func isPast(s revocation.Seen, positions []uint64) bool {
	for shard, at := range positions {
		if at > 0 && (shard >= len(s.Seq) || s.Seq[shard] < at) {
			return false
		}
	}
	return true
}

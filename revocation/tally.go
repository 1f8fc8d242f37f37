package revocation

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/coatcheck/coatcheck/store"
)

// The five kinds of names that a grant has, as indexes.
const (
	byToken = iota
	byFamily
	byClient
	bySubject
	byKey
	kinds
)

// nameOf says which name of a grant a kind speaks of. There is none for Before, nor for a kind that only later versions
// know: such an entry may name any grant.
func nameOf(k store.Kind) (index int, ok bool) {
	switch k {
	case store.KindToken:
		return byToken, true
	case store.KindFamily:
		return byFamily, true
	case store.KindClient:
		return byClient, true
	case store.KindSubject:
		return bySubject, true
	case store.KindKey:
		return byKey, true
	default:
		return 0, false
	}
}

// Names are the names by which the log may speak of one grant, hashed under a key of this process. They are kept with a
// cached grant, so they are small.
type Names struct {
	shard int32
	sums  [kinds]uint64
}

// Names hashes what the log may say of a grant of that shard.
func (f *Follower) Names(shard int, jti, family, client, subject, kid string) Names {
	seed := f.shards[shard].seed
	return Names{int32(shard), [kinds]uint64{
		byToken:   maphash.String(seed, jti),
		byFamily:  maphash.String(seed, family),
		byClient:  maphash.String(seed, client),
		bySubject: maphash.String(seed, subject),
		byKey:     maphash.String(seed, kid),
	}}
}

// tally counts, in places that names share, how often the log has named something. It never grows.
//
// Each kind has places of its own, in proportion to how many names of it a burst may hold: 10,000 tokens touch 1 % of
// theirs, 10,000 families or subjects 2 %. Clients and keys are few and come one at a time; were they among the tokens,
// a burst of tokens would touch the place of one client in a hundred, and drop all of its grants.
type tally struct {
	tokens   [1 << 20]atomic.Uint32
	families [1 << 19]atomic.Uint32
	subjects [1 << 19]atomic.Uint32
	clients  [1 << 14]atomic.Uint32
	keys     [1 << 14]atomic.Uint32
}

// at is the place of a name.
func (t *tally) at(index int, sum uint64) *atomic.Uint32 {
	switch index {
	case byToken:
		return &t.tokens[sum>>(64-20)]
	case byFamily:
		return &t.families[sum>>(64-19)]
	case bySubject:
		return &t.subjects[sum>>(64-19)]
	case byClient:
		return &t.clients[sum>>(64-14)]
	default:
		return &t.keys[sum>>(64-14)]
	}
}

// of adds up the places of all names of a grant. Each only counts up, so two sums are equal only if no place has been
// touched between them: one that wraps round would have to be touched 2^32 times.
func (t *tally) of(n *Names) (sum uint64) {
	for i, s := range n.sums {
		sum += uint64(t.at(i, s).Load())
	}
	return sum
}

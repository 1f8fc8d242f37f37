package issuer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/coatcheck/coatcheck/revocation"
)

// walkPage is how many records are asked for at a time; the store gives no more.
const walkPage = 500

// walkPlace is where a walk over all records stands.
type walkPlace struct {
	shard  int
	cursor uint64
}

// String is the form in which callers of the admin API get it and bring it back.
func (p walkPlace) String() string { return fmt.Sprintf("%d-%d", p.shard, p.cursor) }

func parseWalkPlace(s string, shards int) (p walkPlace, ok bool) {
	shard, cursor, _ := strings.Cut(s, "-")
	n, err1 := strconv.ParseUint(shard, 10, 16)
	at, err2 := strconv.ParseUint(cursor, 10, 64)
	p = walkPlace{int(n), at}
	return p, err1 == nil && err2 == nil && p.shard < shards && p.String() == s
}

// walk reads the records of all shards, one page after the other, until there are no more or visit has enough. It
// returns the place of the next page; done: there is none.
func (i *Issuer) walk(ctx context.Context, p walkPlace, visit func([]revocation.Listed) (enough bool)) (next walkPlace, done bool, err error) {
	for p.shard < i.listing.Shards() {
		found, cursor, err := i.listing.List(ctx, p.shard, p.cursor, walkPage)
		if err != nil {
			return p, false, fmt.Errorf("issuer: list records of shard %d: %w", p.shard, err)
		}
		if p.cursor = cursor; cursor == 0 {
			p.shard++
		}
		if visit(found) {
			return p, p.shard == i.listing.Shards(), nil
		}
	}
	return p, true, nil
}

// count counts what a revocation names, as far as ctx lets it; complete: all was seen. A walk that ran out of time is no
// error.
func (i *Issuer) count(ctx context.Context, r revocation.Revocation, counts func(revocation.Listed) bool) (found int, complete bool, err error) {
	if r.Kind == revocation.Token {
		l, err := i.listing.Inspect(ctx, r.Name)
		switch {
		case errors.Is(err, revocation.ErrNotFound), errors.Is(err, revocation.ErrRevoked):
			return 0, true, nil
		case err != nil:
			return 0, false, err
		case counts(l):
			found = 1
		}
		return found, true, nil
	}
	_, complete, err = i.walk(ctx, walkPlace{}, func(page []revocation.Listed) bool {
		for _, l := range page {
			if named(r, l) && counts(l) {
				found++
			}
		}
		return false
	})
	if ctx.Err() != nil {
		err = nil
	}
	return found, complete, err
}

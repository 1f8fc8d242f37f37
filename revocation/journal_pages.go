package revocation

import (
	"encoding/binary"
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/coatcheck/coatcheck/store"
)

const pageSize = 64 << 10

// pages are entries in memory, by number, as they are in the file: a journal at its bound is over a million of them, and
// as values with strings in them they would need many times its size and keep the garbage collector busy.
type pages struct {
	list  []page
	count int // entries
}

// page is never changed but by appending: whoever has a copy of it goes on reading what was there.
type page struct {
	first uint64
	body  []byte // of whole entries
}

// entry is an entry as it is in the file.
type entry []byte

func (e entry) number() uint64 { return binary.BigEndian.Uint64(e) }
func (e entry) kind() Kind     { return kindCodes[e[24]] }
func (e entry) name() string   { return string(e[sizeEntry:]) }

// alive reports whether the entry may still name something alive. Keys are revoked for ever.
func (e entry) alive(gone int64) bool {
	return int64(binary.BigEndian.Uint64(e[16:])) > gone || e.kind() == Key
}

// goneAt is the last Until, in Unix s, of what has died by now.
func goneAt(now time.Time) int64 { return now.Add(-afterlife).Unix() }

func (e entry) numbered() store.Numbered {
	until := time.Unix(int64(binary.BigEndian.Uint64(e[16:])), 0)
	return store.Numbered{Number: e.number(), Revocation: Revocation{Kind: e.kind(), Name: e.name(), Until: until}}
}

// entriesOf cuts a body into its entries.
func entriesOf(body []byte) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for len(body) > 0 {
			size := sizeEntry + int(body[sizeEntry-1])
			if !yield(entry(body[:size])) {
				return
			}
			body = body[size:]
		}
	}
}

// add takes a copy of an entry whose number is higher than all others.
func (p *pages) add(e entry) {
	n := len(p.list)
	if n == 0 || len(p.list[n-1].body)+len(e) > cap(p.list[n-1].body) {
		p.list = append(p.list, page{first: e.number(), body: make([]byte, 0, pageSize)})
		n++
	}
	p.list[n-1].body = append(p.list[n-1].body, e...)
	p.count++
}

// after are the entries with numbers above n.
func (p pages) after(n uint64) iter.Seq[entry] {
	from := sort.Search(len(p.list), func(i int) bool { return p.list[i].first > n })
	return func(yield func(entry) bool) {
		for _, page := range p.list[max(0, from-1):] {
			for e := range entriesOf(page.body) {
				if e.number() > n && !yield(e) {
					return
				}
			}
		}
	}
}

// snapshot stays as it is when p grows.
func (p pages) snapshot() pages { return pages{slices.Clone(p.list), p.count} }

// living counts what is alive, and its bytes.
func (p pages) living(gone int64) (count, bytes int) {
	for e := range p.after(0) {
		if e.alive(gone) {
			count++
			bytes += len(e)
		}
	}
	return count, bytes
}

// without is p without the dead. Pages in which nothing is dead are shared, not copied: most of them, for what is revoked
// at about the same time dies so. No page is left with little in it but the last, or memory would not shrink.
func (p pages) without(gone int64) pages {
	var kept pages
	for _, from := range p.list {
		n := len(kept.list)
		tight := n == 0 || len(kept.list[n-1].body) >= pageSize*3/4
		count, bytes := pages{list: []page{from}}.living(gone)
		if tight && bytes == len(from.body) && bytes >= pageSize*3/4 {
			from.body = slices.Clip(from.body) // p may go on to append behind it
			kept.list = append(kept.list, from)
			kept.count += count
			continue
		}
		for e := range entriesOf(from.body) {
			if e.alive(gone) {
				kept.add(e)
			}
		}
	}
	return kept
}

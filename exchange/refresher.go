package exchange

import (
	"crypto/rand"
	"strings"
	"time"
)

// refresher makes refresh tokens and recognises its own, under the keys of a Stamper.
type refresher struct{ form }

func newRefresher(s *Stamper) refresher {
	return refresher{form{prefix: strings.TrimSuffix(s.prefix, "_") + refreshMark + "_", label: refreshLabel, longest: MaxRefresh, keys: s.keys}}
}

// first begins a family.
func (f *refresher) first() Refresh {
	return Refresh{hide(f.write(randomPart(rand.Reader), minuteOf(time.Now())))}
}

// after is the token that follows r in its family.
func (f *refresher) after(r Refresh) Refresh {
	random := randomPart(rand.Reader)
	copy(random[:familySize], r.text.reveal()[len(f.prefix):])
	return Refresh{hide(f.write(random, minuteOf(time.Now())))}
}

// parse is as strict as that of references.
func (f *refresher) parse(raw string, now time.Time) (Refresh, error) {
	if err := f.check(raw, now); err != nil {
		return Refresh{}, err
	}
	return Refresh{hide(raw)}, nil
}

package exchange

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"
)

func stampKeyOf(b byte) []byte { return bytes.Repeat([]byte{b}, stampKeySize) }

// Two processes share stamp keys, and each new list reaches them one after the other: first accepted, then used. What
// one stamps the other knows, at every moment, while both are at work.
func TestStampKeysRotateInTwoStepsUnderLoad(t *testing.T) {
	t.Parallel()
	stamps, err := NewStamper("cck", time.Hour, stampKeyOf(1))
	if err != nil {
		t.Fatal(err)
	}
	knows, err := NewStamper("cck", time.Hour, stampKeyOf(1))
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := knows.Parse(stamps.New().Reveal()); err != nil {
					t.Errorf("refused: %v", err)
					return
				}
			}
		})
	}
	early := stamps.New().Reveal()
	for _, list := range [][][]byte{{stampKeyOf(1), stampKeyOf(2)}, {stampKeyOf(2), stampKeyOf(1)}, {stampKeyOf(2), stampKeyOf(1), stampKeyOf(3)}, {stampKeyOf(3), stampKeyOf(2), stampKeyOf(1)}} {
		for _, s := range []*Stamper{knows, stamps} {
			if err := s.Replace(list...); err != nil {
				t.Fatal(err)
			}
			if _, err := knows.Parse(stamps.New().Reveal()); err != nil {
				t.Errorf("refused between two processes: %v", err)
			}
		}
	}
	close(stop)
	work.Wait()
	if _, err := knows.Parse(early); err != nil {
		t.Errorf("what the first key stamped: %v", err)
	}
	late, err := NewStamper("cck", time.Hour, stampKeyOf(3))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := late.Parse(stamps.New().Reveal()); err != nil {
		t.Errorf("the last key does not stamp: %v", err)
	}
}

// A list that is broken, or lacks a key in use, changes nothing.
func TestStampKeysInUseStay(t *testing.T) {
	t.Parallel()
	s, err := NewStamper("cck", time.Hour, stampKeyOf(1), stampKeyOf(2))
	if err != nil {
		t.Fatal(err)
	}
	before := s.KeyIDs()
	for name, row := range map[string]struct {
		list    [][]byte
		missing bool
	}{
		"none": {nil, false}, "shorter": {[][]byte{stampKeyOf(1)}, true}, "another for one in use": {[][]byte{stampKeyOf(1), stampKeyOf(3)}, true},
		"too short": {[][]byte{stampKeyOf(1), stampKeyOf(2)[:31]}, false}, "twice": {[][]byte{stampKeyOf(1), stampKeyOf(2), stampKeyOf(2)}, false},
	} {
		if err := s.Replace(row.list...); err == nil || errors.Is(err, ErrKeyMissing) != row.missing {
			t.Errorf("%s: %v", name, err)
		}
		if got := s.KeyIDs(); len(got) != 2 || got[0] != before[0] || got[1] != before[1] {
			t.Errorf("%s: keys %v, want %v", name, got, before)
		}
	}
}

package storetest

import (
	"bytes"
	"testing"

	"github.com/coatcheck/coatcheck/store"
)

// wantState compares a piece of state.
func wantState(t *testing.T, s Store, name string, wantVersion uint64, wantBlob []byte) {
	t.Helper()
	version, blob, err := s.State(t.Context(), name)
	must(t, err)
	if version != wantVersion || !bytes.Equal(blob, wantBlob) {
		t.Errorf("state %s: got version %d with %d bytes, want version %d with %d", name, version, len(blob), wantVersion, len(wantBlob))
	}
}

func stateCountsUp(t *testing.T, s Store) {
	wantState(t, s, "ring", 0, nil)
	one, two := []byte("one \x00\r\n"), []byte("two")
	must(t, s.SwapState(t.Context(), "ring", 0, one))
	wantState(t, s, "ring", 1, one)
	must(t, s.SwapState(t.Context(), "ring", 1, two))
	wantState(t, s, "ring", 2, two)
	wantState(t, s, "clients", 0, nil)

	_, blob, err := s.State(t.Context(), "ring")
	must(t, err)
	clear(blob)
	clear(two)
	wantState(t, s, "ring", 2, []byte("two"))
}

func stateConflicts(t *testing.T, s Store) {
	blob := []byte("believed")
	wantErr(t, "swap of what was never written", s.SwapState(t.Context(), "ring", 1, blob), store.ErrConflict)
	must(t, s.SwapState(t.Context(), "ring", 0, blob))
	for _, old := range []uint64{0, 2, 10, 1<<53 + 1, 1<<64 - 1} {
		wantErr(t, "swap of another version", s.SwapState(t.Context(), "ring", old, []byte("x")), store.ErrConflict)
	}
	wantState(t, s, "ring", 1, blob)
}

func largeState(t *testing.T, s Store) {
	blob := bytes.Repeat([]byte{0xfe}, store.MaxState)
	must(t, s.SwapState(t.Context(), "ring", 0, blob))
	wantState(t, s, "ring", 1, blob)
	wantRefused(t, "one byte more", s.SwapState(t.Context(), "ring", 1, append(blob, 0)))
	wantRefused(t, "nothing", s.SwapState(t.Context(), "ring", 1, nil))
	wantState(t, s, "ring", 1, blob)
}

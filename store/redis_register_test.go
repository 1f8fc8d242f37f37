package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/store/storetest"
)

// What somebody else has made of a register is corrupt, never empty and never a panic.
func TestRedisDamagedRegister(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	const head, index, entries = "coatcheck:{0}:register:clients:head", "coatcheck:{0}:register:clients:index", "coatcheck:{0}:register:clients:entries"
	s := connect(t, server)
	for name, damage := range map[string][]string{
		"a head of another type":       {"SET", head, "x"},
		"a head without version":       {"HDEL", head, "version"},
		"version 0":                    {"HSET", head, "version", "0"},
		"a version that is no number":  {"HSET", head, "version", "one"},
		"a version beyond all":         {"HSET", head, "version", "9007199254740992"},
		"a head without blob":          {"HDEL", head, "blob"},
		"a head too large":             {"HSET", head, "blob", strings.Repeat("x", store.MaxHead+1)},
		"an index of another type":     {"SET", index, "x"},
		"an entry that is gone":        {"HDEL", entries, "k"},
		"an entry too large":           {"HSET", entries, "k", "1 " + strings.Repeat("x", store.MaxEntry+20)},
		"an entry without version":     {"HSET", entries, "k", "x"},
		"an entry of version 0":        {"HSET", entries, "k", "0 x"},
		"a key that is none of ours":   {"ZADD", index, "1", "a b"},
		"a key too long":               {"ZADD", index, "1", strings.Repeat("k", 70)},
		"entries of another type":      {"SET", entries, "x"},
		"an entry's version unordered": {"ZADD", index, "5", "k"}, // read after 3, it says 1
	} {
		server.Do("DEL", head, index, entries)
		w := store.RegisterWrite{Version: 1, Blob: []byte("head"), Entries: []store.Sealed{{Key: "k", Version: 1, Blob: []byte("x")}}}
		if err := s.SwapRegister(t.Context(), "clients", 0, w); err != nil {
			t.Fatal(err)
		}
		if damage[0] == "SET" {
			server.Do("DEL", damage[1])
		}
		server.Do(damage...)
		after := uint64(0)
		if strings.HasSuffix(name, "unordered") {
			after = 3
		}
		if r, err := s.Register(t.Context(), "clients", after); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: got %+v, %v, want ErrCorrupt", name, r, err)
		}
	}
}

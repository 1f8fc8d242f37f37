package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Register reads a register's head, and its entries from after a version on, a page of them. One never written has
// version 0. Head and entries are of one moment: who asks on after the last entry of each page, until there are no more,
// has all that the last head vouches for.
func (r *Redis) Register(ctx context.Context, name string, after uint64) (Register, error) {
	if err := ready(ctx, checkName("register", name)); err != nil {
		return Register{}, fmt.Errorf("register: %w", err)
	}
	k := r.shards[0]
	values, err := r.ask(ctx, registerScript, []string{k.registerHead(name), k.registerIndex(name), k.registerEntries(name)}, name,
		formatCount(after), registerPage, registerBytes, MaxEntry, MaxHead)
	if errors.Is(err, ErrNotFound) {
		return Register{}, nil
	}
	if err != nil {
		return Register{}, err
	}
	answer, err := readRegister(values, after)
	if err != nil {
		return Register{}, fmt.Errorf("register: %w", err)
	}
	return answer, nil
}

func readRegister(v []string, after uint64) (Register, error) {
	version, err := strconv.ParseUint(v[0], 10, 64)
	if err != nil || version == 0 || version >= maxVersion {
		return Register{}, fmt.Errorf("version: %w", ErrCorrupt)
	}
	answer := Register{Version: version, Blob: []byte(v[1]), More: v[2] == "1"}
	for rest := v[3]; rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		words := strings.Split(line, " ")
		if len(words) != 3 || checkName("key", words[0]) != nil {
			return Register{}, fmt.Errorf("entry: %w", ErrCorrupt)
		}
		at, err1 := strconv.ParseUint(words[1], 10, 64)
		size, err2 := strconv.ParseUint(words[2], 10, 31)
		// Ascending, so that whoever asks on gets on.
		if err1 != nil || err2 != nil || at <= after || int(size) > len(rest) {
			return Register{}, fmt.Errorf("entry: %w", ErrCorrupt)
		}
		answer.Entries = append(answer.Entries, Sealed{words[0], at, []byte(rest[:size])})
		rest, after = rest[size:], at
	}
	if answer.More && len(answer.Entries) == 0 {
		return Register{}, fmt.Errorf("entries: %w", ErrCorrupt)
	}
	return answer, nil
}

// SwapRegister writes if the head still has the old version; else ErrConflict. Like SwapState it is never retried inside:
// after ErrUnavailable the caller reads to learn what is there.
func (r *Redis) SwapRegister(ctx context.Context, name string, old uint64, w RegisterWrite) error {
	if err := ready(ctx, checkName("register", name), w.check(old)); err != nil {
		return fmt.Errorf("swap_register: %w", err)
	}
	whole := "0"
	if w.Whole {
		whole = "1"
	}
	args := make([]any, 0, 4+3*len(w.Entries))
	args = append(args, formatCount(old), formatCount(w.Version), string(w.Blob), whole)
	for _, e := range w.Entries {
		args = append(args, e.Key, formatCount(e.Version), string(e.Blob))
	}
	k := r.shards[0]
	_, err := r.ask(ctx, swapRegisterScript, []string{k.registerHead(name), k.registerIndex(name), k.registerEntries(name), k.dummy()}, name, args...)
	return err
}

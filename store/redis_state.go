package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// State reads a piece of sealed state. A state never written has version 0 and no blob.
func (r *Redis) State(ctx context.Context, name string) (version uint64, blob []byte, err error) {
	if err := ready(ctx, checkName("state", name)); err != nil {
		return 0, nil, fmt.Errorf("state: %w", err)
	}
	values, err := r.ask(ctx, stateScript, []string{r.shards[0].state(name)}, name, MaxState)
	if errors.Is(err, ErrNotFound) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	version, err = strconv.ParseUint(values[0], 10, 64)
	if err != nil || version == 0 {
		return 0, nil, fmt.Errorf("state: version: %w", ErrCorrupt)
	}
	return version, []byte(values[1]), nil
}

// SwapState writes version old+1 if the version is still old; else ErrConflict. It is never retried inside: after
// ErrUnavailable the caller reads the state to learn whether its version was written.
func (r *Redis) SwapState(ctx context.Context, name string, old uint64, blob []byte) error {
	if err := ready(ctx, checkName("state", name), checkState(blob)); err != nil {
		return fmt.Errorf("swap_state: %w", err)
	}
	_, err := r.ask(ctx, swapStateScript, []string{r.shards[0].state(name), r.shards[0].dummy()}, name,
		strconv.FormatUint(old, 10), strconv.FormatUint(old+1, 10), string(blob))
	return err
}

package store

import (
	_ "embed"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/record.lua
var recordLua string

//go:embed lua/head.lua
var headLua string

//go:embed lua/bucket.lua
var bucketLua string

//go:embed lua/put.lua
var putLua string

//go:embed lua/take.lua
var takeLua string

//go:embed lua/delete.lua
var deleteLua string

//go:embed lua/state.lua
var stateLua string

//go:embed lua/swap_state.lua
var swapStateLua string

// script is one command of ours. Each answers {name asked, status, values...}, all strings.
type script struct {
	command  command
	readOnly bool // sent by EVALSHA_RO: Redis refuses it any write, and an ACL may allow it alone
	values   int  // that follow the status "ok"
	lua      *redis.Script
}

// What each script reads, answers and writes stands at its head.
var (
	putScript       = script{commandPut, false, 0, redis.NewScript(headLua + bucketLua + putLua)}
	takeScript      = script{commandTake, true, 3, redis.NewScript(headLua + recordLua + takeLua)}
	deleteScript    = script{commandDelete, false, 0, redis.NewScript(headLua + recordLua + bucketLua + deleteLua)}
	stateScript     = script{commandState, true, 2, redis.NewScript(stateLua)}
	swapStateScript = script{commandSwapState, false, 0, redis.NewScript(swapStateLua)}
)

// errDisordered: the answer is not to what was asked. The connection is one answer off; go-redis finds the unread
// rest on it before it is used again, and drops it.
var errDisordered = errors.New("answer to another question")

// errHead: what Redis holds as the shard's head is not what this version writes. Its records are as good as before, so
// this is never an answer about one of them.
var errHead = errors.New("the head is gone or damaged; mend: delete the key <prefix>:{0}:head, the next grant makes a new one")

// read takes an answer apart: the values after "ok", or the error that the status stands for.
func (s script) read(answer []string, asked string) ([]string, error) {
	if len(answer) < 2 || answer[0] != asked {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errDisordered)
	}
	switch answer[1] {
	case "ok":
		if len(answer) != 2+s.values {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, errDisordered)
		}
		return answer[2:], nil
	case "none":
		return nil, ErrNotFound
	case "exists":
		return nil, ErrExists
	case "quota":
		return nil, ErrQuota
	case "conflict":
		return nil, ErrConflict
	case "corrupt":
		return nil, ErrCorrupt
	case "head":
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errHead)
	case "expired":
		return nil, errExpired
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, errDisordered)
}

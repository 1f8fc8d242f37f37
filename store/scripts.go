package store

import (
	"embed"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

//go:embed lua
var lua embed.FS

// script is one command of ours. Each answers {name asked, status, values...}, all strings.
type script struct {
	command  command
	readOnly bool // sent by EVALSHA_RO: Redis refuses it any write, and an ACL may allow it alone
	values   int  // that follow the status "ok"
	lua      *redis.Script
}

// What each script reads, answers and writes stands at its head; what it is made of here, in order.
var (
	putScript       = newScript(commandPut, false, 0, "count", "head", "floors", "bucket", "family", "admit")
	turnScript      = newScript(commandTurn, false, 2, "count", "head", "record", "floors", "bucket", "family", "admit")
	takeScript      = newScript(commandTake, true, 4, "count", "head", "record", "floors")
	stateScript     = newScript(commandState, true, 2)
	swapStateScript = newScript(commandSwapState, false, 0)

	registerScript     = newScript(commandRegister, true, 4)
	swapRegisterScript = newScript(commandSwapRegister, false, 0)

	pullScript     = newScript(commandPull, true, 8, "count", "head")
	revokeScript   = newScript(commandRevoke, false, 5, "count", "head", "journals", "record", "bucket", "quota")
	shardScript    = newScript(commandShard, true, 13, "count", "head", "journals")
	enrolScript    = newScript(commandEnrol, false, 0, "count", "head", "journals")
	voteScript     = newScript(commandVote, false, 0, "count", "head", "journals")
	openScript     = newScript(commandOpen, false, 1, "count", "head", "journals")
	setLeaseScript = newScript(commandSetLease, false, 0, "count", "head")

	listScript    = newScript(commandList, true, 2, "count", "head", "record", "floors", "listed")
	inspectScript = newScript(commandInspect, true, 1, "count", "head", "record", "floors", "listed")
	onceScript    = newScript(commandOnce, false, 0, "count", "head")
	seenScript    = newScript(commandSeen, false, 1, "count", "head")
)

// newScript joins the parts and the script itself, which is named after its command.
func newScript(c command, readOnly bool, values int, parts ...string) script {
	var text []byte
	for _, part := range append(parts, string(c)) {
		b, err := lua.ReadFile("lua/" + part + ".lua")
		if err != nil {
			panic("store: internal error: " + err.Error())
		}
		text = append(text, b...)
	}
	return script{c, readOnly, values, redis.NewScript(string(text))}
}

// errDisordered: the answer is not to what was asked. The connection is one answer off; go-redis finds the unread
// rest on it before it is used again, and drops it.
var errDisordered = errors.New("answer to another question")

// errClosed is ErrClosed as callers get it, with what an operator can do.
func errClosed() error {
	return fmt.Errorf("%w: %w; mend: if this node is a replica, point the address at the primary; else see that the issuers run, they open it",
		ErrUnavailable, ErrClosed)
}

// errGap: the one before it was not done, or is lost, so this one was not done either.
var errGap = errors.New("the revocation before it has failed, or is lost")

// errClock: what this issuer takes for past may not be so for Redis, or the reverse.
var errClock = fmt.Errorf("the clocks of this issuer and of Redis differ by more than %d s; mend: synchronise both hosts' clocks (NTP)", clockSlack)

// errHead: what Redis holds for a whole shard is not what this version writes. Its records are as good as before, so
// this is never an answer about one of them.
var errHead = errors.New("the head, floors or log of the shard are damaged; mend: delete the keys <prefix>:{<shard>}:head, " +
	":floors and :log, then issuers open the shard anew, and what was issued before ends")

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
	case "replayed":
		return nil, ErrReplayed
	case "corrupt":
		return nil, ErrCorrupt
	case "closed":
		return nil, errClosed()
	case "revoked":
		return nil, ErrRevoked
	case "gap":
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errGap)
	case "clock":
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errClock)
	case "head":
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errHead)
	case "forgotten":
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errForgotten)
	case "expired":
		return nil, errExpired
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, errDisordered)
}

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// command names what was asked, in metrics and in errors: a closed set.
type command string

const (
	commandPut          command = "put"
	commandTake         command = "take"
	commandTurn         command = "turn"
	commandState        command = "state"
	commandSwapState    command = "swap_state"
	commandRegister     command = "register"
	commandSwapRegister command = "swap_register"
	commandCheck        command = "check"
	commandPull         command = "pull"
	commandRevoke       command = "revoke"
	commandShard        command = "shard"
	commandEnrol        command = "enrol"
	commandVote         command = "vote"
	commandOpen         command = "open"
	commandSetLease     command = "set_lease"
	commandList         command = "list"
	commandInspect      command = "inspect"
	commandSeen         command = "seen"
	commandOnce         command = "once"
)

func commands() []command {
	return []command{
		commandPut, commandTake, commandTurn, commandState, commandSwapState, commandRegister, commandSwapRegister, commandCheck, commandPull, commandRevoke, commandShard,
		commandEnrol, commandVote, commandOpen, commandSetLease, commandList, commandInspect, commandSeen, commandOnce,
	}
}

// outcomes is the closed set of the label "outcome", by what errors.Is finds; "ok" and "refused" have no sentinel.
var outcomes = []struct {
	err  error
	name string
}{
	{ErrNotFound, "not_found"},
	{ErrExists, "exists"},
	{ErrQuota, "quota"},
	{ErrConflict, "conflict"},
	{ErrCorrupt, "corrupt"},
	{ErrRevoked, "revoked"},
	{ErrReplayed, "replayed"},
	{ErrClosed, "closed"}, // before the next, which it comes with
	{ErrUnavailable, "unavailable"},
}

func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return o.name
		}
	}
	return "refused"
}

// meters counts and times commands. Its labels are made once: a look-up per command, no allocation.
type meters struct {
	commands metric.Int64Counter
	seconds  metric.Float64Histogram
	counted  map[counted][]metric.AddOption
	timed    map[command][]metric.RecordOption
}

type counted struct {
	command command
	outcome string
}

func newMeters(p metric.MeterProvider) (meters, error) {
	if p == nil {
		p = noop.NewMeterProvider()
	}
	meter := p.Meter("github.com/coatcheck/coatcheck/store")
	m := meters{counted: map[counted][]metric.AddOption{}, timed: map[command][]metric.RecordOption{}}
	var errs [2]error
	m.commands, errs[0] = meter.Int64Counter("coatcheck_store_commands",
		metric.WithDescription("Commands sent to the store, by outcome."))
	m.seconds, errs[1] = meter.Float64Histogram("coatcheck_store", metric.WithUnit("s"),
		metric.WithDescription("Time until the store had answered, or was given up."),
		metric.WithExplicitBucketBoundaries(.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1))
	if err := errors.Join(errs[:]...); err != nil {
		return meters{}, fmt.Errorf("metrics: %w", err)
	}
	for _, c := range commands() {
		m.label(c)
	}
	return m, nil
}

func (m meters) label(c command) {
	name := attribute.String("command", string(c))
	m.timed[c] = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(name))}
	names := []string{"ok", "refused"}
	for _, o := range outcomes {
		names = append(names, o.name)
	}
	for _, o := range names {
		set := attribute.NewSet(name, attribute.String("outcome", o))
		m.counted[counted{c, o}] = []metric.AddOption{metric.WithAttributeSet(set)}
	}
}

// record is called once for each command. The measurement belongs to the process, so it is made also when ctx ended.
func (m meters) record(ctx context.Context, c command, took time.Duration, err error) {
	m.commands.Add(ctx, 1, m.counted[counted{c, outcome(err)}]...)
	m.seconds.Record(ctx, took.Seconds(), m.timed[c]...)
}

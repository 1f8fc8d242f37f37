package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coatcheck/coatcheck/configs"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// lookAtKeysEvery is how often key files are read again; on SIGHUP they are at once.
const lookAtKeysEvery = 3 * time.Second

// keyWatch takes new keys from their files while the process runs. A file that is broken or lacks a key in use changes
// nothing; it is a line of the log, a note of /readyz, and coatcheck_key_file_refused of 1, until it is mended.
type keyWatch struct {
	file *configs.KeyFile
	log  *slog.Logger
	why  atomic.Pointer[string] // nil: all is well
}

// watchKeys watches the files that the role has read keys from.
func (p *process) watchKeys(files []*configs.KeyFile) error {
	if len(files) == 0 {
		return nil
	}
	var all []*keyWatch
	for _, f := range files {
		w := &keyWatch{file: f, log: p.log}
		all = append(all, w)
		p.ready.notes = append(p.ready.notes, w.note)
	}
	_, err := p.tel.meter.Meter("github.com/coatcheck/coatcheck").Int64ObservableGauge("coatcheck_key_file_refused",
		metric.WithDescription("1 while a key file is not what is in use: it is broken, or lacks a key in use."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			for _, w := range all {
				o.Observe(w.refused(), metric.WithAttributes(attribute.String("file", w.file.Name)))
			}
			return nil
		}))
	if err != nil {
		return err
	}
	p.do(func(ctx context.Context) error { lookAtKeys(ctx, all); return nil })
	return nil
}

func lookAtKeys(ctx context.Context, all []*keyWatch) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	tick := time.NewTicker(lookAtKeysEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-hangup:
		}
		for _, w := range all {
			w.look(ctx)
		}
	}
}

// look says each trouble once, when it begins, and that it is over.
func (w *keyWatch) look(ctx context.Context) {
	taken, err := w.file.Look()
	before := w.why.Load()
	switch {
	case err != nil && (before == nil || *before != err.Error()):
		w.why.Store(new(err.Error()))
		w.log.LogAttrs(ctx, slog.LevelWarn, "key file not taken: the keys in use stay",
			slog.String("file", w.file.Name), slog.String("error", err.Error()))
	case err == nil && (taken || before != nil):
		w.why.Store(nil)
		w.log.LogAttrs(ctx, slog.LevelInfo, "key file taken", slog.String("file", w.file.Name))
	}
}

// note is for /readyz; empty: nothing to say.
func (w *keyWatch) note() unready {
	if why := w.why.Load(); why != nil {
		return unready{w.file.Name, "not taken, the keys in use stay: " + *why}
	}
	return unready{}
}

func (w *keyWatch) refused() int64 {
	if w.why.Load() != nil {
		return 1
	}
	return 0
}

package revocation_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/revocation"
	"github.com/coatcheck/coatcheck/store"
	"github.com/google/go-cmp/cmp"
)

// TestAFirstStartAlarmsNobody: a lease is lost, and what was kept is forgotten, only where there was one before.
func TestAFirstStartAlarmsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog(1)
		s := l.shards[0]
		var log bytes.Buffer
		f := newFollower(t, revocation.FollowerConfig{Log: l, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
		happens := func(what string, change func(), want ...string) {
			t.Helper()
			log.Reset()
			l.change(change)
			pass(2 * time.Second)
			if diff := cmp.Diff(want, linesOf(t, log.Bytes())); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		l.revoke(0, store.KindToken, "before")
		s.err = store.ErrClosed
		run(t, f)
		happens("the store is closed", func() {}, "INFO revocation: waiting for the store to be opened")
		happens("it answers, and gives no lease yet", func() { s.err, s.lease = nil, 0 })
		happens("it begins anew before it has given one", func() { s.incarnation, s.log = "second", nil })
		happens("it is open", func() { s.lease = leaseLength }, "INFO revocation: the store is open, and the first lease is there")
		happens("it is away", func() { s.err = store.ErrUnavailable }, "WARN revocation: the lease is lost")
		happens("it is back", func() { s.err = nil }, "INFO revocation: the lease is back")
		l.revoke(0, store.KindToken, "another")
		pass(time.Second)
		happens("it begins anew", func() { s.incarnation, s.log = "third", nil },
			"WARN revocation: everything kept from a shard is forgotten: its log does not go on from what was read")
	})
}

// linesOf are level and message of each line.
func linesOf(t *testing.T, log []byte) (lines []string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(log))
	for d.More() {
		var line struct{ Level, Msg string }
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line.Level+" "+line.Msg)
	}
	return lines
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
	"github.com/coatcheck/coatcheck/configs"
	"github.com/google/go-cmp/cmp"
)

// TestRedactMasksWhatSlipsThrough: wherever in a line somebody puts a reference or a JWT.
func TestRedactMasksWhatSlipsThrough(t *testing.T) {
	t.Parallel()
	reference := "cck_" + strings.Repeat("a1B2c", 13)
	const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl-_x"
	for _, asJSON := range []bool{true, false} {
		var out bytes.Buffer
		log, sink, err := newLogger(&out, configs.Telemetry{LogJSON: asJSON, LogLevel: "debug"})
		if err != nil {
			t.Fatal(err)
		}
		log.Info("said " + reference + " and " + jwt)
		log.Info("attribute", slog.String("token", reference), slog.Any("error", errors.New("bad "+jwt)))
		log.Info("group", slog.Group("headers", slog.Any("authorization", []string{"Bearer " + reference, "Bearer " + jwt})))
		log.Info("cut", slog.String("part", reference[:60]), slog.String("mine", "acme9_"+reference[4:]))
		log.Info("kept", slog.String("jti", "5f0c6f2d9a8b4e1c7d3f6a5b4c3d2e1f"), slog.String("key", "3xWv_Zp9Qm2Lk8Jh7Gf6Ds5Aa4Sd3Fg2Hj1Kl0Zx9Cv"))
		sink.Flush()
		got := out.String()
		if strings.Contains(got, "eyJ") || strings.Contains(got, "a1B2c") {
			t.Errorf("json %v: a credential is in the log:\n%s", asJSON, got)
		}
		for want, n := range map[string]int{"[reference]": 5, "[jwt]": 3, "5f0c6f2d9a8b4e1c7d3f6a5b4c3d2e1f": 1, "3xWv_Zp9Qm2Lk8Jh7Gf6Ds5Aa4Sd3Fg2Hj1Kl0Zx9Cv": 1, "\n": 5} {
			if strings.Count(got, want) != n {
				t.Errorf("json %v: %q is in the log %d times, want %d:\n%s", asJSON, want, strings.Count(got, want), n, got)
			}
		}
	}
}

// TestLogLinesWaitBriefly: a line is out after logDelay at the latest, or when the buffer is full, or at the end.
func TestLogLinesWaitBriefly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, sink, err := newLogger(&out, configs.Telemetry{LogJSON: true})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); sink.Run(t.Context()) }()
		log.Info("one")
		time.Sleep(logDelay + time.Millisecond)
		synctest.Wait()
		if n := strings.Count(out.String(), "\n"); n != 1 {
			t.Errorf("%d lines are out after %v, want 1", n, logDelay)
		}
		log.Info(strings.Repeat("x", logBuffer/2))
		synctest.Wait()
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Errorf("%d lines are out when the buffer is half full, want 2", n)
		}
		log.Info("three")
		sink.Flush()
		if n := strings.Count(out.String(), "\n"); n != 3 {
			t.Errorf("%d lines are out at the end, want all 3", n)
		}
	})
}

// TestNobodyWaitsForAStuckReader: whoever logs goes on while the log's reader does not read; what finds no room is counted.
func TestNobodyWaitsForAStuckReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{free: make(chan struct{})}
		log, sink, err := newLogger(out, configs.Telemetry{LogJSON: true})
		if err != nil {
			t.Fatal(err)
		}
		log.Info("first")
		go sink.Flush()
		synctest.Wait() // the flush is stuck in out
		big := strings.Repeat("x", logBuffer/2)
		for range 3 { // would never return if Write waited for the flush
			log.Info(big)
		}
		close(out.free)
		sink.Flush()
		sink.Flush()
		if got := out.String(); !strings.Contains(got, `"lines":2`) || strings.Count(got, big) != 1 {
			t.Errorf("out are %d bytes with %d big lines, want 1 and the number of the 2 others", len(got), strings.Count(got, big))
		}
	})
}

// stuck is a writer that waits until it is freed.
type stuck struct {
	bytes.Buffer
	free chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.free
	return s.Buffer.Write(p)
}

// TestLostLinesAreCounted: a full disk loses lines, but says how many.
func TestLostLinesAreCounted(t *testing.T) {
	t.Parallel()
	out := &flaky{broken: true}
	log, sink, err := newLogger(out, configs.Telemetry{LogJSON: true})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("lost")
	log.Info("lost too")
	sink.Flush()
	out.broken = false
	log.Info("kept")
	sink.Flush()
	if got := out.String(); !strings.Contains(got, `"lines":2`) || !strings.Contains(got, "kept") {
		t.Errorf("after two lost lines the log is %q, want their number and the third", got)
	}
}

// flaky is a writer that can be broken.
type flaky struct {
	bytes.Buffer
	broken bool
}

func (f *flaky) Write(p []byte) (int, error) {
	if f.broken {
		return 0, errors.New("no space left on device")
	}
	return f.Buffer.Write(p)
}

// TestAuditLinesHaveRoom: whoever has us log much, while the log's reader is slow, pushes out no line about who ended what.
func TestAuditLinesHaveRoom(t *testing.T) {
	t.Parallel()
	for _, asJSON := range []bool{true, false} {
		var out bytes.Buffer
		log, sink, err := newLogger(&out, configs.Telemetry{LogJSON: asJSON})
		if err != nil {
			t.Fatal(err)
		}
		log = log.With(slog.Int("node", 1)).WithGroup("at")
		for range logBuffer / 64 {
			log.Warn("admin call", slog.String("caller", ""), slog.Int("status", 401))
			log.Warn("token refused", slog.String("reason", "secret"))
		}
		for _, message := range []string{"revoked", "token revoked", "revoked by an operator", "revocation asked for by an operator failed"} {
			log.Info(message)
		}
		log.Info("admin call", slog.String("method", "GET"), slog.String("caller", "alice"))
		sink.Flush()
		for _, want := range []string{"token revoked", "revoked by an operator", "revocation asked for by an operator failed", "alice", "log lines were lost"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("json %v: after a flood of other lines %q is not in the log", asJSON, want)
			}
		}
		if out.Len() > logBuffer {
			t.Errorf("json %v: %d bytes have waited, want at most %d", asJSON, out.Len(), logBuffer)
		}
	}
}

// TestAuditLinesAreThoseOfTheRooms: what is to have room in the log is what the issuer and its admin API say.
func TestAuditLinesAreThoseOfTheRooms(t *testing.T) {
	t.Parallel()
	client := processtest.NewClient(t)
	lab := processtest.New(t, processtest.Options{Lease: "100ms"})
	issuer, _ := lab.Up(client)
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	by := url.Values{"token": {lab.Token(client)}, "client_id": {lab.Client}, "client_secret": {lab.Secret}}
	client.Do("POST", lab.Issuer()+"/oauth2/revoke", form, by.Encode())
	lab.Admin(client, issuer, "POST", "/v1/revocations", map[string]any{"client": lab.Client})
	if code := issuer.Terminate(); code != exitOK {
		t.Fatalf("the issuer ended with %d", code)
	}
	found := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(issuer.Stderr.String()), "\n") {
		var l struct{ Msg, Caller string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		r := slog.NewRecord(time.Time{}, slog.LevelInfo, l.Msg, 0)
		r.AddAttrs(slog.String("caller", l.Caller))
		if audited(r) {
			found[l.Msg]++
		}
	}
	want := map[string]int{"revoked": 2, "token revoked": 1, "revoked by an operator": 1, "admin call": 1}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("audit lines (-want +got):\n%s", diff)
	}
}

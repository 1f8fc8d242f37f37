package configs

import (
	"net/url"
	"slices"
)

func (b *builder) checkLimits() {
	b.checkWait(b.file.Limits.RequestTimeout, "limits", "request_timeout")
	if path := []any{"limits", "body"}; b.set(path...) && b.file.Limits.Body == 0 {
		b.faultAt(path, "must be above 0, such as 1MiB; leave it out for the default")
	}
	if path := []any{"limits", "revocations"}; b.set(path...) && b.file.Limits.Revocations == 0 {
		b.faultAt(path, "must be above 0, or no client could give a token back; leave it out for the default")
	}
	if path := []any{"cache", "size"}; b.set(path...) && b.file.Cache.Size < minCache {
		b.faultAt(path, "is too small to be of use; take 1MiB or more")
	}
	if b.file.Store.Redis != nil {
		b.checkWait(b.file.Store.Redis.Timeout, "store", "redis", "timeout")
	}
}

const minCache = 1 << 20

func (b *builder) checkTelemetry() {
	t := b.file.Telemetry
	b.checkChoice(t.Logs.Format, []string{"json", "text"}, "telemetry", "logs", "format")
	b.checkChoice(t.Logs.Level, []string{"debug", "info", "warn", "error"}, "telemetry", "logs", "level")
	if b.set("telemetry", "traces", "otlp_endpoint") {
		b.checkHTTP(t.Traces.OTLPEndpoint, false, "telemetry", "traces", "otlp_endpoint")
	}
}

func (b *builder) checkChoice(value string, choices []string, path ...any) {
	if b.set(path...) && !slices.Contains(choices, value) {
		b.faultAt(path, "%q is not known%s", b.shown(path...), didYouMean(value, choices))
	}
}

// checkHTTP accepts a URL that we fetch or send to. Where trust depends on the answer it must be https, or loopback.
func (b *builder) checkHTTP(text string, trusted bool, path ...any) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		b.faultAt(path, "%q is not an http or https URL without password", b.shown(path...))
	case trusted && u.Scheme == "http" && !loopback(u.Hostname()) && !b.file.InsecurePlaintext:
		b.faultAt(path, "http beyond loopback lets the network replace the keys; use https, %s", plaintextMend)
	}
}

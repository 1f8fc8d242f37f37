package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// maxSeries bounds the label sets of one metric; beyond it they are counted together. Labels come from closed sets
// (routes, clients, constants), so that only a very large configuration comes near.
const maxSeries = 100_000

// telemetry is the OpenTelemetry SDK, set up; rooms get the providers and know only the API.
type telemetry struct {
	meter   metric.MeterProvider
	edge    trace.TracerProvider // the edge samples by itself, before it builds a span
	issuer  trace.TracerProvider
	metrics http.Handler // /metrics; nil: turned off
	close   []func(context.Context) error
}

func newTelemetry(ctx context.Context, t configs.Telemetry, log *slog.Logger) (*telemetry, error) {
	// A collector that is away is a line in the log, never an error of a request.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("telemetry", slog.String("error", err.Error()))
	}))
	tel := &telemetry{meter: noop.NewMeterProvider(), edge: tracenoop.NewTracerProvider(), issuer: tracenoop.NewTracerProvider()}
	if t.Prometheus {
		if err := tel.openMetrics(); err != nil {
			return nil, fmt.Errorf("set up metrics: %w", err)
		}
	}
	if t.OTLPEndpoint != "" {
		if err := tel.openTraces(ctx, t); err != nil {
			return nil, fmt.Errorf("set up traces to %s: %w", t.OTLPEndpoint, err)
		}
	}
	return tel, nil
}

// openMetrics serves what the rooms count under exactly the names that they chose: without scope labels.
func (tel *telemetry) openMetrics() error {
	registry := prometheus.NewRegistry()
	exporter, err := promexporter.New(promexporter.WithRegisterer(registry),
		promexporter.WithoutScopeInfo(), promexporter.WithoutTargetInfo())
	if err != nil {
		return err
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithCardinalityLimit(maxSeries))
	tel.meter = provider
	tel.metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	tel.close = append(tel.close, provider.Shutdown)
	return runtime.Start(runtime.WithMeterProvider(provider))
}

// openTraces sends spans to an OTLP/HTTP collector in the background; when it does not keep up, spans are dropped.
func (tel *telemetry) openTraces(ctx context.Context, t configs.Telemetry) error {
	target, err := url.JoinPath(t.OTLPEndpoint, "v1/traces")
	if err != nil {
		return err
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(target))
	if err != nil {
		return err
	}
	about := resource.NewSchemaless(semconv.ServiceName("coatcheck"), semconv.ServiceVersion(readBuild().Version))
	batch := sdktrace.NewBatchSpanProcessor(exporter)
	provider := func(s sdktrace.Sampler) *sdktrace.TracerProvider {
		return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(batch), sdktrace.WithResource(about), sdktrace.WithSampler(s))
	}
	tel.edge = provider(sdktrace.AlwaysSample())
	tel.issuer = provider(sdktrace.TraceIDRatioBased(t.Sample))
	tel.close = append(tel.close, batch.Shutdown)
	return nil
}

// Close sends what waits, within ctx.
func (tel *telemetry) Close(ctx context.Context) error {
	var errs []error
	for _, c := range tel.close {
		errs = append(errs, c(ctx))
	}
	return errors.Join(errs...)
}

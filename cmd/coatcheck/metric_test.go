package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/cmd/coatcheck/processtest"
)

// sumOf adds up the series of a metric that have all the labels, as /metrics at addr has them now.
func sumOf(t *testing.T, client *processtest.Client, addr, name string, labels ...string) float64 {
	t.Helper()
	var sum float64
series:
	for line := range strings.Lines(client.Do("GET", "http://"+addr+"/metrics", nil, "").Body) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(line, l) {
				continue series
			}
		}
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			t.Fatalf("metric %q: %v", line, err)
		}
		sum += v
	}
	return sum
}

package simulation_test

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// weather is how the network is.
type weather struct {
	loss  float64       // of each message
	slow  float64       // of them are slow
	late  time.Duration // how slow at most
	stall float64       // of a goroutine that is about to ask, or has just heard: a page fault, a collector, a scheduler
	clear atomic.Bool   // all is well, from the end of the faults on
}

func newWeather(r *rand.Rand) *weather {
	w := &weather{late: time.Millisecond}
	if chance(r, 0.7) {
		w.loss = r.Float64() * 0.05
	}
	if chance(r, 0.7) {
		w.slow, w.late = r.Float64()*0.2, between(r, lease/4, 6*lease)
	}
	if chance(r, 0.4) {
		w.stall = r.Float64() * r.Float64() * 0.2
	}
	return w
}

// hold stalls, seldom.
func (w *weather) hold(r *rand.Rand) {
	if chance(r, w.stall) && !w.clear.Load() {
		time.Sleep(between(r, 0, 6*lease))
	}
}

func (w *weather) lossRate() float64 {
	if w.clear.Load() {
		return 0
	}
	return w.loss
}

func (w *weather) delay(r *rand.Rand) time.Duration {
	if !w.clear.Load() && chance(r, w.slow) {
		return between(r, 0, w.late)
	}
	return between(r, 50*time.Microsecond, 2*time.Millisecond)
}

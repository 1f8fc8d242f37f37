//go:build race

package simulation_test

// The race detector makes a world eight times slower, and needs fewer of them: it looks at orders, not at outcomes.
const worlds = 40

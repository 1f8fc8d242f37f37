//go:build race

package processtest

// raceEnabled: the test has the race detector, so the program gets it too.
const raceEnabled = true

//go:build !race

package simulation_test

const worlds = 500

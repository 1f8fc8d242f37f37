package configs

import (
	"fmt"
	"slices"
	"strings"
)

// didYouMean ends a message with the nearest of the names that would have been right, or, when none is near and
// they are few, with all of them. names is empty: it says nothing.
func didYouMean(wrong string, names []string) string {
	if len(wrong) > 64 || len(names) > 1000 { // no slip of the finger, and too many to compare
		return ""
	}
	best, least := "", len(wrong)/3+1 // one slip per three letters still reads as a slip
	for _, name := range slices.Sorted(slices.Values(names)) {
		if d := distance(strings.ToLower(wrong), strings.ToLower(name), least); d <= least && (best == "" || d < least) {
			best, least = name, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(names) == 0 || len(names) > 12:
		return ""
	default:
		return "; known: " + strings.Join(slices.Sorted(slices.Values(names)), ", ")
	}
}

// distance is the number of letters to insert, delete, replace or exchange with their neighbour to turn a into b
// (optimal string alignment), or anything above limit when it is above limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

package nemesis_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// plot writes how late requests arrived that had been decided in time, as a histogram in SVG: one bar for each doubling.
func plot(t *testing.T, path string, late []time.Duration, decided int) {
	t.Helper()
	const (
		first  = 125 * time.Microsecond // the upper end of the first bar
		bars   = 14
		width  = 46
		height = 160
	)
	counts := make([]int, bars)
	for _, d := range late {
		i := 0
		for end := first; d > end && i < bars-1; end *= 2 {
			i++
		}
		counts[i]++
	}
	most := 1
	for _, n := range counts {
		most = max(most, n)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", bars*width+20, height+60)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="10" y="16">%d of %d requests arrived after the answer; every one was decided before it</text>`+"\n", len(late), decided)
	end := first
	for i, n := range counts {
		h := n * (height - 20) / most
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#4477aa"/>`, 10+i*width, 30+height-h, width-6, h)
		fmt.Fprintf(&b, `<text x="%d" y="%d">%d</text><text x="%d" y="%d">≤%v</text>`+"\n", 10+i*width, 26+height-h, n, 10+i*width, height+46, end)
		end *= 2
	}
	b.WriteString("</svg>\n")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

package exchange

import "math/bits"

// minClass is the smallest size that a blob can have.
const minClass = 1 << 10

// sizeClass is the least size class of at least n bytes. From minClass up there are four classes between a power of
// two and the next (1024, 1280, 1536, 1792, 2048, 2560, …): a reader of the store learns the size of a grant only to
// within 25 %. MaxRecord is itself a class, so no record that fits is refused for its padding.
func sizeClass(n int) int {
	if n <= minClass {
		return minClass
	}
	step := 1 << (bits.Len(uint(n-1)) - 3)
	return (n + step - 1) / step * step
}

package exchange

import "unsafe"

// secret is text that nothing prints by accident. The methods of Reference and Token refuse every formatter that
// asks them; but fmt cannot call methods on an unexported field, it walks the memory instead, and would print a
// string there. It prints a *byte as an address. That is why the text is kept as address and length.
type secret struct {
	_    [0]func() // not comparable: == on secrets is not constant time
	data *byte
	size int
}

func hide(text string) secret {
	return secret{data: unsafe.StringData(text), size: len(text)}
}

func (s secret) reveal() string {
	return unsafe.String(s.data, s.size)
}

// view is the text as bytes, without a copy. Whoever gets it must not write: strings are immutable.
func view(text string) []byte {
	return unsafe.Slice(unsafe.StringData(text), len(text))
}

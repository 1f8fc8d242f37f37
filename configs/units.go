package configs

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Each unit reads itself from text. Its error is the end of a sentence that begins with the text read, and never
// repeats that text: it may have come out of a secret file.

// Duration is a Go duration that also knows days: 500ms, 10m, 30d, 1d12h.
type Duration time.Duration

// Size is a number of bytes with its unit: 512B, 64KiB, 1MiB, 2GiB.
type Size int64

// Rate is events a second, written 100/s, 6000/m or 1000/h; 0 and off are none.
type Rate float64

// Share is a part of the whole, 0 to 1, written 1% or 0.01.
type Share float64

// Secret is a secret that came in through a placeholder. It cannot be printed or marshalled.
type Secret struct{ text string }

func (d *Duration) read(text string) error {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil || text == "" {
		return errDuration
	}
	var part time.Duration
	if rest != "" {
		if part, err = time.ParseDuration(rest); err != nil || part < 0 {
			return errDuration
		}
	}
	total := time.Duration(n)*24*time.Hour + part
	if total < 0 {
		return errDuration
	}
	*d = Duration(total)
	return nil
}

// A byte count without a unit is refused: whether 64 means bytes or MiB is what such a file gets wrong.
func (s *Size) read(text string) error {
	digits := strings.TrimRight(text, "BKMGi")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit, known := map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[text[len(digits):]]
	if text == "0" {
		unit, known = 1, true
	}
	if err != nil || n < 0 || !known || n > math.MaxInt64/unit {
		return errSize
	}
	*s = Size(n * unit)
	return nil
}

func (r *Rate) read(text string) error {
	if text == "0" || text == "off" {
		*r = 0
		return nil
	}
	count, per, _ := strings.Cut(text, "/")
	n, err := strconv.ParseUint(count, 10, 32)
	seconds, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[per]
	if err != nil || !known {
		return errRate
	}
	*r = Rate(float64(n) / seconds)
	return nil
}

func (s *Share) read(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	f, err := strconv.ParseFloat(number, 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f >= 0 && f <= 1) { // the negation also refuses NaN
		return errShare
	}
	*s = Share(f)
	return nil
}

func (s *Secret) read(text string) error {
	s.text = text
	return nil
}

// String keeps the secret out of every message, whatever verb prints it.
func (s Secret) String() string { return "[secret]" }

// GoString is String for %#v.
func (s Secret) GoString() string { return "[secret]" }

var (
	errDuration = errors.New("is not a duration: write a number with its unit, such as 500ms, 30s, 10m, 12h or 30d")
	errSize     = errors.New("is not a size: write a whole number with its unit, such as 512B, 64KiB, 1MiB or 2GiB")
	errRate     = errors.New("is not a rate: write a whole number per unit of time, such as 100/s, 6000/m or 1000/h; 0 or off for none")
	errShare    = errors.New("is not a share: write 0% to 100%, or 0 to 1")
)

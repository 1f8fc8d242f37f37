package verifier

import "time"

// SetNow stops a verifier's clock.
func (v *Verifier) SetNow(now time.Time) { v.now = func() time.Time { return now } }

// Missing is how many kids are remembered as missing.
func (j *JWKS) Missing() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.missing)
}

// MaxMissing is the bound of Missing.
const MaxMissing = maxMissing

// StrictJSON shows what the strict parser reads: names and raw values in order.
func StrictJSON(data []byte) (names, values []string, err error) {
	o, err := parseObject(data)
	for _, m := range o {
		names, values = append(names, m.name), append(values, m.value)
	}
	return names, values, err
}

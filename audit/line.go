package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

// A line is one JSON object:
//
//	{"seq":7,"time":"…","prev":"…","event":"issue", …, "hash":"…","mac":"…"}
//
// hash is SHA-256 over every byte before `,"hash"`, and so covers prev, the hash of the line before. mac is HMAC-SHA256
// over the same bytes; it is there when the log has a key. Both are base64url of 43 characters.
const (
	hashMark = `,"hash":"`
	macMark  = `","mac":"`
	lineEnd  = "\"}\n"
	sumText  = 43 // characters of 32 bytes in base64url without padding

	maxLine  = 16 << 10 // bytes; what does not fit is left out
	maxValue = 1 << 10  // bytes of one value
)

// events that the log itself writes.
const (
	eventOpened = "opened" // the first line of a file, and the first after a restart or a failure
	eventGap    = "gap"    // events were lost here, and how many
)

// line is what verification reads of a line; the rest is the events' own.
type line struct {
	Seq   uint64    `json:"seq"`
	Time  time.Time `json:"time"`
	Prev  string    `json:"prev"`
	Event string    `json:"event"`
	Torn  int       `json:"torn"` // of opened: bytes before it that are no lines
	Lost  uint64    `json:"lost"` // of gap
	Key   string    `json:"key"`  // of opened: id of the key of the macs from here on

	content []byte // what hash and mac cover
	hash    string
	mac     string // empty: the log had no key
}

// encode writes the attributes of an event as the middle of a line.
func encode(event string, attrs []slog.Attr) []byte {
	out := append([]byte(`"event":`), quote(event)...)
	for _, a := range attrs {
		value := text(a.Value.Resolve())
		if value == nil {
			continue
		}
		if len(out)+len(a.Key)+len(value) > maxLine-1024 {
			return append(out, `,"cut":true`...)
		}
		out = append(append(append(append(out, ','), quote(a.Key)...), ':'), value...)
	}
	return out
}

// text is a value as JSON; nil: there is nothing to say.
func text(v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindString:
		if v.String() == "" {
			return nil
		}
		return quote(v.String())
	case slog.KindTime:
		return quote(v.Time().UTC().Format(time.RFC3339Nano))
	case slog.KindDuration:
		return quote(v.Duration().String())
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			return quote(err.Error())
		}
	}
	if v.Any() == nil {
		return nil
	}
	out, err := json.Marshal(v.Any())
	if err != nil || len(out) > maxValue {
		return quote(fmt.Sprintf("[%T]", v.Any()))
	}
	return out
}

// quote is a string as JSON, cut where it is too long.
func quote(s string) []byte {
	if len(s) > maxValue {
		s = s[:maxValue] + "…"
	}
	out, err := json.Marshal(s)
	if err != nil {
		panic("audit: internal error: a string does not marshal: " + err.Error())
	}
	return out
}

// seal makes the line of an encoded event, which follows prev, and returns it with its hash.
func seal(seq uint64, at time.Time, prev string, body []byte, key *Key) (sealed []byte, hash string) {
	out := append([]byte(`{"seq":`), strconv.AppendUint(nil, seq, 10)...)
	out = append(append(out, `,"time":"`...), at.UTC().Format("2006-01-02T15:04:05.000000Z")...)
	out = append(append(out, `","prev":"`...), prev...)
	out = append(append(out, `",`...), body...)
	content := len(out)
	sum := sha256.Sum256(out)
	hash = encodeSum(sum[:])
	out = append(append(out, hashMark...), hash...)
	if key != nil {
		out = append(append(out, macMark...), encodeSum(key.mac(out[:content]))...)
	}
	return append(out, lineEnd...), hash
}

// parse reads a line with its line feed, and checks it against its own hash; false: it is none, or was changed.
func parse(raw []byte) (line, bool) {
	rest, ended := bytes.CutSuffix(raw, []byte(lineEnd))
	if !ended || len(raw) > maxLine {
		return line{}, false
	}
	last, ok := cutSum(rest, macMark)
	mac := ""
	if ok {
		mac, rest = last, rest[:len(rest)-len(macMark)-sumText]
	}
	hash, ok := cutSum(rest, hashMark)
	if !ok {
		return line{}, false
	}
	content := rest[:len(rest)-len(hashMark)-sumText]
	sum := sha256.Sum256(content)
	if encodeSum(sum[:]) != hash {
		return line{}, false
	}
	l := line{content: content, hash: hash, mac: mac}
	if err := json.Unmarshal(append(bytes.Clone(content), '}'), &l); err != nil || l.Seq == 0 {
		return line{}, false
	}
	return l, true
}

// cutSum is the sum at the end of text, behind its mark.
func cutSum(text []byte, mark string) (string, bool) {
	at := len(text) - sumText
	if at < len(mark) || string(text[at-len(mark):at]) != mark {
		return "", false
	}
	return string(text[at:]), true
}

// madeBy reports whether one of the keys made the line's mac.
func (l line) madeBy(keys []Key) bool {
	for _, k := range keys {
		if hmac.Equal([]byte(encodeSum(k.mac(l.content))), []byte(l.mac)) {
			return true
		}
	}
	return false
}

func encodeSum(sum []byte) string { return base64.RawURLEncoding.EncodeToString(sum) }

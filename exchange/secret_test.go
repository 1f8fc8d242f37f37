package exchange_test

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/exchange"
)

// holder is what somebody else's struct looks like: fmt cannot call methods on the unexported field.
type holder struct {
	Field  any
	hidden any
}

// wrap keeps the type of the secret static, as a field of somebody else's struct would.
type wrap[T any] struct {
	Exported T
	hidden   T
	pointer  *T
	list     []T
	byName   map[string]T
}

func TestSecretsCannotBePrinted(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	d, raw := k.issue()
	p := k.pass(raw, exchange.Leased, exchange.SourceMiss)
	g := p.Grant()
	s, _ := g.Share("orders-api")
	token := d.tokens["orders-api"]
	secrets := []string{raw, token.Reveal(), string(k.stampKey), fmt.Sprint(k.stampKey)}

	mustNotPrint(t, secrets, d.reference, "[reference]")
	mustNotPrint(t, secrets, token, "[token]")
	mustNotPrint(t, secrets, k.stamper, "[stamper]")
	mustNotPrint(t, secrets, g, "[grant "+g.JTI()+"]")
	mustNotPrint(t, secrets, s, "[share of orders-api]")
	mustNotPrint(t, secrets, *p, "[pass of "+g.JTI()+"]")
	mustNotPrint(t, secrets, exchange.Pass{}, "[pass]")
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		clean(t, secrets, verb+" of what holds keys", fmt.Sprintf(verb+verb, k.edge, k.depositor))
	}
	mustNotPrint(t, secrets, exchange.Deposit{Tokens: d.tokens}, "")
}

// mustNotPrint formats v in every way that we know, alone and inside other values. want, if not empty, is what every
// verb gives for v itself.
func mustNotPrint[T any](t *testing.T, secrets []string, v T, want string) {
	t.Helper()
	for _, outer := range []any{v, &v, wrap[T]{v, v, &v, []T{v}, map[string]T{"a": v}}, holder{v, v}, []any{v}, map[string]any{"a": v}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%c", "%U", "%e", "%t", "%p"} {
			text := fmt.Sprintf(verb, outer)
			clean(t, secrets, fmt.Sprintf("%s of %T", verb, outer), text)
			if reflect.TypeOf(outer) == reflect.TypeOf(v) && want != "" && verb != "%p" && text != want {
				t.Errorf("%s of %T gives %q, want %q", verb, outer, text, want)
			}
		}
		clean(t, secrets, "error", fmt.Errorf("it was %v", outer).Error())

		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", slog.Any("v", outer))
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", slog.Any("v", outer))
		clean(t, secrets, "slog", log.String())

		text, _ := json.Marshal(outer)
		clean(t, secrets, "json", string(text))
		text, _ = xml.Marshal(outer)
		clean(t, secrets, "xml", string(text))
		var b bytes.Buffer
		_ = gob.NewEncoder(&b).Encode(outer)
		clean(t, secrets, "gob", b.String())
	}
}

func clean(t *testing.T, secrets []string, what, text string) {
	t.Helper()
	for _, secret := range secrets {
		// Any piece of it would do harm, so any 16 bytes count, as they are and in hex.
		for i := 0; i+16 <= len(secret); i += 16 {
			piece := secret[i : i+16]
			if strings.Contains(text, piece) || strings.Contains(strings.ToLower(text), hex.EncodeToString([]byte(piece))) {
				t.Errorf("%s shows a secret", what)
				return
			}
		}
	}
}

func TestSecretsCannotBeMarshalled(t *testing.T) {
	t.Parallel()
	k := newKit(t, hold)
	for _, v := range []any{k.depositor.Reference(), exchange.NewToken("secret")} {
		if text, err := v.(encoding.TextMarshaler).MarshalText(); err == nil {
			t.Errorf("%T marshals as text: %q", v, text)
		}
		if text, err := json.Marshal(map[string]any{"a": v}); err == nil {
			t.Errorf("%T marshals as JSON: %s", v, text)
		}
		var b bytes.Buffer
		if err := gob.NewEncoder(&b).Encode(v); err == nil {
			t.Errorf("%T marshals as gob: %q", v, b.Bytes())
		}
	}
}

func TestSecretsCannotBeCompared(t *testing.T) {
	t.Parallel()
	for _, v := range []any{exchange.Reference{}, exchange.Token{}, exchange.Share{}, exchange.Grant{}, exchange.Pass{}, exchange.Stamper{}} {
		if reflect.TypeOf(v).Comparable() {
			t.Errorf("%T can be compared with ==, which is not constant time", v)
		}
	}
}

package verifier_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/verifier"
	"github.com/google/go-cmp/cmp"
)

func TestStrictJSONKeepsNamesAndValuesAsTheyStood(t *testing.T) {
	t.Parallel()
	const text = " {\n\t\"a\" : [1 , {\"b\":\"\\\"}\"}],\"c\\u0064\":-1.5e3 , \"\" :null,\"e\":{} ,\"f\":[ ]} "
	names, values, err := verifier.StrictJSON([]byte(text))
	if err != nil {
		t.Fatalf("StrictJSON(%q): %v", text, err)
	}
	if diff := cmp.Diff([]string{"a", "cd", "", "e", "f"}, names); diff != "" {
		t.Errorf("names of %q (-want +got):\n%s", text, diff)
	}
	want := []string{`[1 , {"b":"\"}"}]`, "-1.5e3", "null", "{}", "[ ]"}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("values of %q (-want +got):\n%s", text, diff)
	}
}

func TestStrictJSONBoundsDepth(t *testing.T) {
	t.Parallel()
	nested := func(n int) []byte {
		return []byte(`{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
	}
	if _, _, err := verifier.StrictJSON(nested(30)); err != nil {
		t.Errorf("30 arrays in an object: %v, want nil", err)
	}
	if _, _, err := verifier.StrictJSON(nested(40)); err == nil {
		t.Error("40 arrays in an object: nil, want an error")
	}
}

// encoding/json is the oracle: what is accepted, it reads the same way, and nothing it refuses is accepted.
func FuzzStrictJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, `{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"s":1,"ſ":2}`, `{"k":1,"K":2}`, `{"a":{"b":1,"b":2}}`, `{"\u0061":1,"a":2}`,
		`{"a":[[],{},"]",1e400,-0,true,null]}`, `[{}]`, `{"a":1}x`, "{\"\xff\":1}", `{"\ud800":1,"\ud801":2}`, ` { "a" : "\\\"" } `,
		`{"ß":1,"ẞ":2}`, `{"µ":1,"μ":2}`, `{"` + strings.Repeat(`{"a":`, 50) + `1` + strings.Repeat("}", 50), claims(),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		names, values, err := verifier.StrictJSON(data)
		if err != nil {
			return
		}
		var oracle map[string]json.RawMessage
		if err := json.Unmarshal(data, &oracle); err != nil {
			t.Fatalf("accepted %q, encoding/json says: %v", data, err)
		}
		if len(oracle) != len(names) {
			t.Fatalf("%q: %d names, encoding/json has %d", data, len(names), len(oracle))
		}
		for i, name := range names {
			if !bytes.Equal(oracle[name], []byte(values[i])) {
				t.Errorf("%q: member %q is %q, encoding/json has %q", data, name, values[i], oracle[name])
			}
			for _, other := range names[:i] {
				if strings.EqualFold(name, other) {
					t.Errorf("%q: accepted %q beside %q, which encoding/json cannot tell apart", data, name, other)
				}
			}
		}
	})
}

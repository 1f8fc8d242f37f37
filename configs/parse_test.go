package configs_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/configs"
	"github.com/google/go-cmp/cmp"
)

// TestRefusedBytes: what a broken file with a comment on its first line cannot show.
func TestRefusedBytes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"a byte order mark":        {"\xef\xbb\xbf" + whole, "1:1: begins with a byte order mark; save it as UTF-8 without one"},
		"UTF-16":                   {"\xff\xfev\x00", "1:1: is not UTF-8 from here on; save it as UTF-8"},
		"more than a mebibyte":     {whole + strings.Repeat("#", 1<<20), "1:1: is larger than 1 MiB; split what does not belong together, or remove what was pasted in"},
		"nothing":                  {"", "1:1: is empty; begin with `version: 1`"},
		"a NUL":                    {"version: 1\x00\n", "1:1: is not YAML: control characters are not allowed (value: 0)"},
		"a scalar":                 {"hello", "1:1: expected sections such as `version: 1`, got the text \"hello\""},
		"an alias without anchor":  {"version: *one\n", "1:10: is not YAML: unknown anchor 'one' referenced"},
		"ten thousand brackets":    {"version: " + strings.Repeat("[", 20000), "1:10010: is not YAML"},
		"a key of another version": {"version: 3\nlisten: 7\n", "1:10: version: this program reads version 1 only, got the number 3; use the release that the file was written for, or `version: 1`"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := loadText(t, "", c.text, configs.RoleAll, nil)
			got := faultsOf(t, err)
			if len(got) != 1 || !strings.HasPrefix(got[0], c.want) {
				t.Errorf("faults %q, want %q alone", got, c.want)
			}
		})
	}
}

// TestNoFaultsFollowFromAnother: a value that is broken is not also called missing or unknown.
func TestNoFaultsFollowFromAnother(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer("audience: orders-api", "audience: 7", "upstreams:\n", "upstreams: # url is broken\n",
		`url: "http://127.0.0.1:9000"`, "url: 7", "127.0.0.1:8080", "nowhere").Replace(whole)
	_, err := loadText(t, secrets(t), text, configs.RoleAll, nil)
	want := []string{
		`3:19: listen.gateway: "nowhere" is not host:port; write 127.0.0.1:8080, or :8080 for every interface`,
		`10:17: upstreams.orders.url: expected text (quote it if need be), got the number 7`,
		`12:80: routes[0].audience: expected text (quote it if need be), got the number 7`,
	}
	if diff := cmp.Diff(want, faultsOf(t, err)); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestAFileThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	_, err := configs.Load("no-such-file.yaml", configs.RoleAll, env(nil))
	if err == nil || !strings.Contains(err.Error(), "no-such-file.yaml") {
		t.Errorf("Load: %v, want an error that names the file", err)
	}
}

func TestAnUnknownRoleIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := configs.Load("minimal.yaml", "edge", env(nil)); err == nil || !strings.Contains(err.Error(), "gateway") {
		t.Errorf("role edge: %v, want an error that names the roles", err)
	}
}

// FuzzLoad: whatever the bytes are, Load returns a configuration or faults that lie inside the file.
func FuzzLoad(f *testing.F) {
	f.Add(whole)
	for file := range samples {
		f.Add(sampleText(f, file, "${env:SECRETS}"))
	}
	for _, text := range []string{
		"version: 1\n<<: *a\n", "? [a]\n: {b: &c [*c]}\n", "version: 1\nstore: {redis: {url: \"${env:X}\"}}\n",
		"clients: {a: {claims: {b: [.nan, .inf, 0x1p-2, ~, !!binary x]}}}", "routes: [{match: \"GET /{a}/{b...}\"}, {match: \"/{$}\"}]",
	} {
		f.Add(text)
	}
	dir := secrets(f)
	f.Fuzz(func(t *testing.T, text string) {
		loaded, err := loadText(t, dir, text, configs.RoleAll, nil)
		if err == nil {
			if loaded.Gateway == nil || loaded.Issuer == nil || loaded.Stamper == nil || loaded.Issuer.Sealing == nil || loaded.Gateway.Table == nil {
				t.Fatalf("loaded without a part that the role needs: %q", text)
			}
			return
		}
		var faults configs.Faults
		if !errors.As(err, &faults) {
			t.Fatalf("%v of type %T for %q, want configs.Faults", err, err, text)
		}
		lines := strings.Count(text, "\n") + 1
		for _, fault := range faults {
			if fault.Line < 1 || fault.Line > lines || fault.Column < 1 || fault.Column > len(text)+2 || strings.Contains(fault.What, "\n") {
				t.Fatalf("fault %+v is not inside the %d lines of %q, or is not one line", fault, lines, text)
			}
		}
	})
}

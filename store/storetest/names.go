package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/store"
)

// wantRefused asks for an error that is none of the contract's: the caller's fault, and no answer about anything.
func wantRefused(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: got no error", what)
	}
	for _, sentinel := range sentinels() {
		if errors.Is(err, sentinel) {
			t.Errorf("%s: got %v, want an error that is not %q", what, err, sentinel)
		}
	}
}

// hostile are what a name could be if somebody let a caller's text through: other keys, other slots, protocol, script,
// terminal and path.
func hostile() []string {
	return []string{
		"", " ", "a b", "a:b", "{1}", "}:head", "../head", "*", "a\x00b", "a\r\nFLUSHALL\r\n", "$5\r\nhello", "' or 1=1",
		"\x1b[31m", "jti\xff", "jtı", "%6a", "a=b", "a+b", "a/b", strings.Repeat("a", store.MaxHandle+1), strings.Repeat("a", 1<<20),
	}
}

func hostileNames(t *testing.T, s Store) {
	for _, name := range hostile() {
		shown := name[:min(len(name), 20)]
		_, err := s.Take(t.Context(), name)
		wantRefused(t, "take "+shown, err)
		_, _, err = s.State(t.Context(), name)
		wantRefused(t, "state "+shown, err)
		wantRefused(t, "swap state "+shown, s.SwapState(t.Context(), name, 0, []byte("x")))

		for what, set := range map[string]func(*store.Record){
			"jti":     func(r *store.Record) { r.JTI = name },
			"key id":  func(r *store.Record) { r.KeyID = name },
			"client":  func(r *store.Record) { r.Client = name },
			"family":  func(r *store.Record) { r.Family = name },
			"subject": func(r *store.Record) { r.Subject = name },
		} {
			r := NewRecord()
			set(&r)
			wantRefused(t, "put with "+what+" "+shown, s.Put(t.Context(), r, store.Quota{}))
		}
	}
	longest := NewRecord()
	longest.JTI, longest.Client = strings.Repeat("Zz9_-", 12)+"Zz9_", strings.Repeat("-", store.MaxHandle)
	must(t, s.Put(t.Context(), longest, store.Quota{}))
	_, err := s.Take(t.Context(), longest.JTI)
	must(t, err)
}

// damage changes one field at a time behind the store's back.
func damage(t *testing.T, s Store) {
	c, ok := s.(Corrupter)
	if !ok {
		return
	}
	const clear = "0 1700000000 1900000000 kid client family subject"
	rows := []struct{ field, value string }{
		{"v", ""},
		{"v", "2"},
		{"v", "01"},
		{"v", "one"},
		{"blob", ""},
		{"blob", strings.Repeat("x", store.MaxBlob+1)},
		{"clear", ""},
		{"clear", "x" + clear},
		{"clear", "-" + clear},
		{"clear", clear + " "},
		{"clear", clear + " more"},
		{"clear", strings.TrimSuffix(clear, " subject")},
		{"clear", strings.Replace(clear, "client", "a:b", 1)},
	}
	for _, row := range rows {
		r := NewRecord()
		must(t, s.Put(t.Context(), r, store.Quota{}))
		c.Corrupt(t, r.JTI, row.field, row.value)
		_, err := s.Take(t.Context(), r.JTI)
		wantErr(t, "take with "+row.field+" = "+row.value[:min(len(row.value), 20)], err, store.ErrCorrupt)
		wantErr(t, "put over it", s.Put(t.Context(), r, store.Quota{}), store.ErrExists)
		if !Revoke(t, s, r.JTI) {
			t.Errorf("revoke with %s damaged: found no record: what is damaged can be removed", row.field)
		}
	}
}

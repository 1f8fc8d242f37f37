package audit_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/audit"
)

func TestWhatIsWrittenVerifies(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	k.write(t, "a", "b", "c")
	head := k.Head()
	k.stop()
	r := k.verify(t, head)
	wantWhole(t, "with the key", r)
	if r.Lines != 4 || r.First != 1 || r.Last != 4 || r.Macs != "checked" || r.Head != head {
		t.Errorf("report %+v, want 4 lines up to %s, macs checked", r, head)
	}
	wantWhole(t, "without a key", verify(t, k.files(t), nil, head))
	wantBroken(t, "with another key", verify(t, k.files(t), []audit.Key{keyOf(t, 'x')}), "the mac is of another key")
	wantWhole(t, "with an old key too", verify(t, k.files(t), []audit.Key{keyOf(t, 'x'), k.key}))
}

// Whoever can write the file, and has not the key.
func TestEveryChangeShows(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	k.write(t, "a", "b", "c")
	k.restart(t)
	k.write(t, "d")
	head := k.Head()
	k.stop()
	lines := strings.SplitAfter(strings.TrimSuffix(read(t, k.path), "\n"), "\n")
	lines[len(lines)-1] += "\n"
	join := func(parts ...[]string) string {
		var all []string
		for _, p := range parts {
			all = append(all, p...)
		}
		return strings.Join(all, "")
	}
	for name, row := range map[string]struct{ text, says string }{
		"a value is changed":             {strings.Replace(join(lines), `"client":"b"`, `"client":"x"`, 1), "does not have the hash"},
		"a value and the hash":           {join(lines[:2], []string{rehash(lines[2], `"b"`, `"x"`)}, lines[3:]), "mac is of another key"},
		"the chain is built anew":        {rebuild(lines, `"b"`, `"x"`), "mac is of another key"},
		"the macs are taken off":         {rebuildBare(lines), "has no mac"},
		"a line is taken out":            {join(lines[:2], lines[3:]), "does not follow"},
		"two lines change places":        {join(lines[:1], lines[2:3], lines[1:2], lines[3:]), "does not follow"},
		"a line is there twice":          {join(lines[:3], lines[2:]), "does not follow"},
		"the beginning is taken off":     {join(lines[1:]), "does not begin as the log begins one"},
		"up to a restart":                {join(lines[4:]), "in a file that was not given"},
		"the end is taken off":           {join(lines[:5]), "its end is missing"},
		"the end, up to the restart":     {join(lines[:4]), "its end is missing"},
		"half a line is left at the end": {join(lines)[:len(join(lines))-40], "its end is missing"},
		"nothing is left":                {"", "its end is missing"},
		"something is put behind it":     {join(lines) + "{}\n", "does not have the hash"},
		"something is put before it":     {"{}\n" + join(lines), "does not have the hash"},
	} {
		path := filepath.Join(t.TempDir(), "changed.log")
		put(t, path, row.text)
		anchors := []string{head}
		if name == "up to a restart" {
			anchors = []string{anchorOf(lines[1])}
		}
		wantBroken(t, name, verify(t, []string{path}, []audit.Key{k.key}, anchors...), row.says)
	}
}

// TestEveryByteCounts changes each byte of a log in turn.
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	k := newKit(t, nil)
	k.write(t, "a")
	head := k.Head()
	k.stop()
	text := read(t, k.path)
	path := filepath.Join(t.TempDir(), "changed.log")
	for n := range len(text) {
		put(t, path, text[:n]+string(text[n]^1)+text[n+1:])
		if r := verify(t, []string{path}, []audit.Key{k.key}, head); r.OK {
			t.Fatalf("byte %d of %q was changed, and the log verifies", n, text)
		}
	}
}

// anchorOf is the anchor that a line would have been.
func anchorOf(line string) string {
	var seq int
	_, _ = fmt.Sscanf(line, `{"seq":%d`, &seq)
	_, rest, _ := strings.Cut(line, `,"hash":"`)
	return fmt.Sprintf("%d:%s", seq, rest[:43])
}

// rehash changes a line and gives it a hash that is right again; its mac stays.
func rehash(line, from, to string) string {
	content, rest, _ := strings.Cut(strings.Replace(line, from, to, 1), `,"hash":"`)
	sum := sha256.Sum256([]byte(content))
	return content + `,"hash":"` + base64.RawURLEncoding.EncodeToString(sum[:]) + rest[43:]
}

// rebuild changes a value and all hashes behind it.
func rebuild(lines []string, from, to string) string {
	var out strings.Builder
	prev := ""
	for _, l := range lines {
		if prev != "" {
			_, rest, _ := strings.Cut(l, `"prev":"`)
			l = strings.Replace(l, rest[:43], prev, 1)
		}
		l = rehash(l, from, to)
		_, rest, _ := strings.Cut(l, `,"hash":"`)
		prev = rest[:43]
		out.WriteString(l)
	}
	return out.String()
}

func rebuildBare(lines []string) string {
	var out strings.Builder
	for _, l := range lines {
		bare, _, _ := strings.Cut(l, `,"mac":"`)
		out.WriteString(bare + "}\n")
	}
	return out.String()
}

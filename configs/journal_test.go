package configs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/configs"
)

// withJournal is whole with a Redis, a journal and more keys.
func withJournal(journal, keys string) string {
	text := strings.Replace(whole, "store: memory", `store: {redis: {url: "redis://127.0.0.1:6379"}}`, 1)
	return strings.Replace(text, "keys: {", "keys: {"+keys, 1) + "revocation: {journal: \"" + journal + "\"}\n"
}

// TestTheJournalsPlace is looked at as run would use it, and nothing is made there.
func TestTheJournalsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string) (journal string)
		want string // of the fault, or after "warns: "; D is the folder
	}{
		"nothing there yet": {func(_ *testing.T, dir string) string { return dir + "/journal" }, ""},
		"no folder":         {func(_ *testing.T, dir string) string { return dir + "/no/journal" }, "make the folder, owned by the issuer's user, on a disk that survives a restart: `mkdir -p -m 700 D/no`"},
		"a file": {func(t *testing.T, dir string) string {
			write(t, dir+"/journal", "")
			return dir + "/journal"
		}, ""},
		"a link to a file": {func(t *testing.T, dir string) string {
			write(t, dir+"/real", "")
			link(t, "real", dir+"/journal")
			return dir + "/journal"
		}, ""},
		"a folder": {func(_ *testing.T, dir string) string { return dir }, "D is a directory; name a file in it, such as D/revocations.journal"},
		"others may write the file": {func(t *testing.T, dir string) string {
			write(t, dir+"/journal", "")
			mode(t, dir+"/journal", 0o620)
			return dir + "/journal"
		}, "`chmod 600 D/journal`"},
		"all may write the folder":             {folderOfMode(0o777), "folder D has mode 0777, so that anybody may put another journal in its place; `chmod 700 D`"},
		"all may add to the folder":            {folderOfMode(0o777 | os.ModeSticky), "warns: folder D has mode 0777: others may write there too"},
		"the group may write the folder":       {folderOfMode(0o770), "warns: folder D has mode 0770: others may write there too"},
		"a volume that the group may write to": {folderOfMode(0o770 | os.ModeSetgid), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "place")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			journal := c.make(t, dir)
			before, _ := os.ReadDir(dir)
			got := place(t, withJournal(journal, ""))
			if want := strings.ReplaceAll(c.want, "D", dir); !strings.Contains(got, want) || (got == "") != (want == "") || strings.Count(got, "revocation.journal") > 1 {
				t.Errorf("%s: %q, want %q, and revocation.journal named once", journal, got, want)
			}
			if after, _ := os.ReadDir(dir); len(after) != len(before) {
				t.Errorf("%s: %d files where %d were", journal, len(after), len(before))
			}
		})
	}
}

// place is the one fault of a file, or after "warns: " its one warning.
func place(t *testing.T, text string) string {
	t.Helper()
	l, err := loadText(t, secrets(t), text, configs.RoleIssuer, nil)
	switch {
	case err != nil:
		return strings.Join(faultsOf(t, err), "\n")
	case len(l.Warnings) > 0:
		_, what, _ := strings.Cut(l.Warnings[0].What, ": ")
		return "warns: " + what
	}
	return ""
}

// TestTheRingFileIsNotTheJournal, however it is spelt, and before either is there.
func TestTheRingFileIsNotTheJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/there", "")
	if err := os.Link(dir+"/there", dir+"/hard"); err != nil {
		t.Fatal(err)
	}
	link(t, "there", dir+"/soft")
	link(t, "later", dir+"/dangling")
	link(t, ".", dir+"/folder")
	for ring, journal := range map[string]string{
		"later": "later", "./x/../later": "later", "folder/later": "later", "dangling": "later", "hard": "there", "soft": "there",
		"folder/folder/there": "folder/hard",
	} {
		if got := place(t, withJournal(dir+"/"+journal, "ring_file: \""+dir+"/"+ring+"\", ")); !strings.Contains(got, "keys.ring_file: is the file of revocation.journal too") {
			t.Errorf("ring file %s, journal %s: %q, want a fault", ring, journal, got)
		}
	}
	if got := place(t, withJournal(dir+"/there", "ring_file: \""+dir+"/ring\", ")); got != "" {
		t.Errorf("a ring file of its own: %q", got)
	}
}

func folderOfMode(m os.FileMode) func(*testing.T, string) string {
	return func(t *testing.T, dir string) string {
		mode(t, dir, m)
		return dir + "/journal"
	}
}

func mode(t *testing.T, path string, m os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, m); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

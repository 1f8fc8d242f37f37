package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// checkJournal: without a journal a store that comes back from the past would take revoked tokens for live ones.
func (b *builder) checkJournal() {
	path := []any{"revocation", "journal"}
	switch {
	case b.file.Store.memory && b.set(path...):
		b.doc.warn(b.doc.key(path...), "revocation.journal has no effect: what a store in memory forgets has ended anyway")
	case b.file.Store.Redis != nil && b.role.issuer():
		b.need("without its own record of revocations an issuer cannot bring a restarted Redis up to date; "+
			"write journal: /var/lib/coatcheck/revocations.journal, on a disk that survives a restart, one for each issuer", path...)
		if b.set(path...) && b.file.Revocation.Journal == "" {
			b.faultAt(path, "is empty; write a path such as /var/lib/coatcheck/revocations.journal")
		}
	}
}

// journalPlace looks at where the journal lies, or will, and makes nothing: so `check` says what `run` would stumble over.
// What depends on who looks is a warning, for the operator who checks may be another user than the issuer.
func (b *builder) journalPlace(path string) {
	at, ok := b.placed("revocation", "journal")
	if !ok {
		return
	}
	if b.file.Keys.RingFile != "" && sameFile(path, b.doc.beside(b.file.Keys.RingFile)) {
		b.faultAt([]any{"keys", "ring_file"}, "is the file of revocation.journal too, and each would destroy the other; give it a name of its own")
	}
	shown, folder := path, filepath.Dir(path)
	if _, filled := b.doc.written[at.node]; filled { // what a placeholder brought in is not shown
		shown, folder = at.shown, filepath.Dir(at.shown)
		if folder == "." || strings.Count(folder, "{") != strings.Count(folder, "}") {
			folder = "FOLDER"
		}
	}
	wrong := journalFile(path, shown)
	if wrong == nil {
		wrong = journalFolder(folderOf(path), folder, func(format string, args ...any) {
			b.doc.warn(at.node, "%s: %s", at.label, fmt.Sprintf(format, args...))
		})
	}
	if wrong != nil {
		b.doc.fault(at.node, "%s: %v", at.label, wrong)
	}
}

// journalFile says what is wrong with the file, if there is one; nil: nothing.
func journalFile(path, shown string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is a symbolic link that leads to nothing; name the file that it should lead to", shown)
		}
		return nil
	case err != nil:
		return nil // what is wrong on the way to it is the folder's to say
	case info.IsDir():
		return fmt.Errorf("%s is a directory; name a file in it, such as %s", shown, filepath.Join(shown, "revocations.journal"))
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file; name a file, which the issuer will make", shown)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s has mode %04o, so that others may take revocations out of it; `chmod 600 %s`, if its content can be trusted", shown, info.Mode().Perm(), shown)
	}
	return nil
}

// journalFolder says what is wrong with the folder. Who may write there can put another journal in the place of ours. A
// group may, where it is how a process that does not run as root gets its volume (fsGroup of Kubernetes, which sets setgid).
func journalFolder(path, shown string, warn func(format string, args ...any)) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s; make the folder, owned by the issuer's user, on a disk that survives a restart: `mkdir -p -m 700 %s`", shown, shown)
	case errors.Is(err, syscall.ENOTDIR) || err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a folder; name a file in one", shown)
	case err != nil:
		warn("cannot be looked at by this user: %v; check as the issuer's user", withoutPath(err))
		return nil
	case info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0:
		return fmt.Errorf("folder %s has mode %04o, so that anybody may put another journal in its place; `chmod 700 %s`", shown, info.Mode().Perm(), shown)
	case info.Mode().Perm()&0o002 != 0 || info.Mode().Perm()&0o020 != 0 && info.Mode()&fs.ModeSetgid == 0:
		warn("folder %s has mode %04o: others may write there too; give the journal a folder of its own: `mkdir -p -m 700 …`", shown, info.Mode().Perm())
	}
	if err := syscall.Access(path, mayWrite); err != nil {
		warn("this user may not write into folder %s (%v), and the issuer has to; if it is the issuer's user, `chown` the folder to it", shown, err)
	}
	return nil
}

// mayWrite is W_OK and X_OK of access(2).
const mayWrite = 2 | 1

// folderOf is the folder that a file lies in, or will, behind all symbolic links.
func folderOf(path string) string { return filepath.Dir(target(path)) }

// target follows the symbolic links at the end of path, also where they lead to nothing.
func target(path string) string {
	for range 40 { // as many as the kernel follows
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return path
}

// sameFile reports whether two paths lead to one file, by whatever spelling or link, also before it is there.
func sameFile(a, b string) bool {
	one, err1 := os.Stat(a)
	two, err2 := os.Stat(b)
	if err1 == nil && err2 == nil {
		return os.SameFile(one, two)
	}
	return settled(a) == settled(b)
}

func settled(path string) string {
	path = target(path)
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(folder, filepath.Base(path))
	}
	return filepath.Clean(path)
}

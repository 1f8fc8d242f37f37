package configs

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/coatcheck/coatcheck/audit"
	"github.com/coatcheck/coatcheck/issuer/sealing"
)

// defaultAuditSize is what a file of the audit log holds before it is put aside: some hundred thousand events.
const defaultAuditSize = 100 << 20

func (b *builder) checkAudit() {
	if b.section("audit") == nil {
		return
	}
	if !b.role.issuer() {
		return // it is the issuer's; one file serves both halves
	}
	path := []any{"audit", "file"}
	b.need("write file: /var/lib/coatcheck/audit.log, one for each issuer", path...)
	if b.set(path...) && b.file.Audit.File == "" {
		b.faultAt(path, "is empty; write a path such as /var/lib/coatcheck/audit.log")
	}
	if size := b.file.Audit.MaxSize; size != nil && *size != 0 && *size < 1<<20 {
		b.faultAt([]any{"audit", "max_size"}, "must be 1MiB or more, such as 100MiB, or 0 for never; smaller files would be put aside all the time")
	}
}

// audit is where the audit log lies, and the keys of its macs: one from each key-encryption key, for this issuer alone, so
// that the file of another issuer cannot be put in its place.
func (b *builder) audit(keys *sealing.Keys) (*audit.Config, []audit.Key) {
	if b.file.Audit.File == "" || keys == nil {
		return nil, nil
	}
	c := &audit.Config{Path: b.doc.beside(b.file.Audit.File), MaxSize: defaultAuditSize}
	if size := b.file.Audit.MaxSize; size != nil {
		c.MaxSize = int64(*size)
	}
	b.auditPlace(c.Path)
	var made []audit.Key
	for _, secret := range keys.Derive("coatcheck/v1/audit/"+cmp.Or(b.file.Revocation.Name, b.issuers()[0]), audit.KeySize) {
		k, err := audit.NewKey(secret)
		if err != nil {
			panic("configs: internal error: " + err.Error())
		}
		made = append(made, k)
	}
	c.Key = &made[0]
	return c, made
}

// auditPlace looks at where the log lies, or will, and makes nothing: so `check` says what `run` would stumble over.
func (b *builder) auditPlace(path string) {
	at := []any{"audit", "file"}
	for _, other := range []struct{ label, file string }{
		{"revocation.journal", b.file.Revocation.Journal}, {"keys.ring_file", b.file.Keys.RingFile},
	} {
		if other.file != "" && sameFile(path, b.doc.beside(other.file)) {
			b.faultAt(at, "is the file of %s too, and each would destroy the other; give it a name of its own", other.label)
			return
		}
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		b.faultAt(at, "is there and not a regular file; name a file, which the issuer will make")
		return
	}
	switch info, err := os.Stat(filepath.Dir(path)); {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.IsDir():
		b.faultAt(at, "lies in no folder; make the folder, owned by the issuer's user: `mkdir -p -m 700 …`")
	case err == nil && info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0:
		b.faultAt(at, "lies in a folder of mode %04o, where anybody may put another file in its place; `chmod 700` it", info.Mode().Perm())
	}
}

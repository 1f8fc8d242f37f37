package configs

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	maxSecret = 1 << 20 // bytes of one secret, key or certificate file; a bundle of all public authorities has a fifth
	keySize   = 32
	maxKeys   = 16 // in one key file; a rotation needs two
)

// How to make what is missing.
const (
	makeKey    = "head -c 32 /dev/urandom | base64"
	makeSecret = "openssl rand -hex 32"
)

// readers says who may be able to read a file that we read.
type readers os.FileMode

const (
	// ownerAndGroup is for secrets. The group may read, because that is how Kubernetes (fsGroup) and service managers
	// hand secrets to a process that does not run as root; nobody else may, and only the owner may write.
	ownerAndGroup readers = 0o027
	anyReader     readers = 0
)

// readSecret reads a small regular file and cuts one trailing newline. Errors go on after the file's name, say the
// mend, and never what the file contains.
func readSecret(path string, who readers) (text string, err error) {
	// Without waiting: a pipe in place of the file must not hang the start.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", withoutPath(err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot be read: %w", withoutPath(err))
	case !info.Mode().IsRegular():
		return "", errors.New("is not a regular file; name the file itself")
	case info.Mode().Perm()&os.FileMode(who) != 0:
		return "", fmt.Errorf("has mode %04o, so that others can read or change it; `chmod 600` it (in Kubernetes: defaultMode 0440)", info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot be read: %w", withoutPath(err))
	case len(data) > maxSecret:
		return "", errors.New("is larger than 1 MiB; it is not such a file")
	}
	data = bytes.TrimSuffix(data, []byte("\n"))
	return string(bytes.TrimSuffix(data, []byte("\r"))), nil
}

func withoutPath(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// checkSecret says where a secret may stand: in its own file, or in a variable; never in the YAML. path leads to the
// section, name to the key of the variable; the key of the file is name + "_file".
func (b *builder) checkSecret(name string, path ...any) {
	label := labelOf(append(path, name)...)
	inline, file := b.doc.find(append(path, name)...), b.doc.find(append(path, name+"_file")...)
	if inline == nil {
		return
	}
	if file != nil {
		b.doc.fault(inline, "%s and %s_file are both set; keep one", label, name)
	}
	// A default would stand in the YAML, and ${file:…} would skip the checks that _file makes.
	before := b.doc.written[inline]
	one := strings.HasPrefix(before, "${env:") && strings.Index(before, "}") == len(before)-1
	if !one || strings.Contains(before, ":-") {
		b.doc.fault(inline, "%s: a secret is never written into this file; use %s_file, or ${env:NAME}", label, name)
		b.doc.unread[inline] = true
	}
}

// checkOneOf: exactly one way to prove who it is: name, name_file or name_hash. Two would leave open which one counts.
func (b *builder) checkOneOf(name string, path ...any) {
	var found []string
	for _, key := range []string{name, name + "_file", name + "_hash"} { // checkSecret has looked at the first two together
		if b.doc.find(append(path, key)...) != nil {
			found = append(found, key)
		}
	}
	label := labelOf(path...)
	switch last := len(found) - 1; {
	case len(found) == 0:
		b.doc.fault(b.doc.key(path...), "%s has no %s: give it a %s_file (`%s`), or a %s_hash", label, name, name, makeSecret, name)
	case len(found) > 1 && found[last] == name+"_hash":
		b.doc.fault(b.doc.key(append(path, name+"_hash")...), "%s: %s are both set; keep one", label, strings.Join(found[last-1:], " and "))
	}
}

// secretAt reads the secret that checkSecret has accepted. at is where a fault of its content belongs.
// how is the command that makes such a secret; empty: it comes from elsewhere.
func (b *builder) secretAt(inline Secret, file, name, how string, path ...any) (text string, at placed, ok bool) {
	if at, ok = b.placed(append(path, name)...); ok {
		text = inline.text
	} else if at, ok = b.placed(append(path, name+"_file")...); ok {
		var err error
		if text, err = readSecret(b.doc.beside(file), ownerAndGroup); err != nil {
			b.unreadable(at, file, how, err)
			return "", at, false
		}
	}
	if ok && text == "" {
		b.doc.fault(at.node, "%s: %s is empty", at.label, at.shown)
		ok = false
	}
	return text, at, ok
}

// unreadable is the fault of a file that cannot be read. Of one that is not there it says where it was looked for, unless
// a placeholder has brought that in, and how to make it.
func (b *builder) unreadable(at placed, file, how string, err error) {
	mend, command := "", "FILE"
	if errors.Is(err, fs.ErrNotExist) {
		if _, filled := b.doc.written[at.node]; !filled {
			command = b.doc.beside(file)
			mend = "; looked for it at " + command
			if _, err := os.Stat(filepath.Dir(command)); how != "" && err != nil {
				how = "mkdir -p " + filepath.Dir(command) + "; " + how
			}
		}
		if how != "" {
			mend += fmt.Sprintf("; make it with `(umask 077; %s > %s)`", how, command)
		}
	}
	b.doc.fault(at.node, "%s: %s %v%s", at.label, at.shown, err, mend)
}

// keysAt is secretAt for key files.
func (b *builder) keysAt(inline Secret, file, name string, path ...any) ([][]byte, placed) {
	text, at, ok := b.secretAt(inline, file, name, makeKey, path...)
	if !ok {
		return nil, at
	}
	keys, err := parseKeys(text)
	if err != nil {
		b.doc.fault(at.node, "%s: %s%v", at.label, at.shown, err)
	}
	return keys, at
}

// parseKeys reads a key file: one standard base64 key of 32 bytes a line; the first is used, all are accepted.
// The error goes on after the file's name with the line, and never says what stands there.
func parseKeys(text string) ([][]byte, error) {
	var keys [][]byte
	for i, line := range strings.Split(text, "\n") {
		key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(line, "\r"))
		switch {
		case err != nil || len(key) != keySize:
			return nil, fmt.Errorf(", line %d: not one key of %d bytes in standard base64; make one with `%s`", i+1, keySize, makeKey)
		case len(keys) == maxKeys:
			return nil, fmt.Errorf(", line %d: more than %d keys; remove the oldest, at the end", i+1, maxKeys)
		}
		for j, other := range keys {
			if bytes.Equal(key, other) {
				return nil, fmt.Errorf(", line %d: the key of line %d again; remove it", i+1, j+1)
			}
		}
		keys = append(keys, key)
	}
	return keys, nil
}

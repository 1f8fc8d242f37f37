package keyring

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"sync"
)

// Files is a SignerSource: a list of files, each with one private key in PEM (PKCS #8, RFC 7468 §10). They are read
// again at each look, and parsed when their content has changed. Use NewFiles.
type Files struct {
	paths []string

	mu     sync.Mutex // guards parsed
	parsed map[string]parsedFile
}

type parsedFile struct {
	sum     [sha256.Size]byte // of its content
	private hidden[crypto.Signer]
}

var _ SignerSource = (*Files)(nil)

// maxKeyFile bounds a file; an RSA key of 8192 bits has 6 KiB.
const maxKeyFile = 64 << 10

// NewFiles takes the paths in the order in which the keys are to sign; it reads nothing yet.
func NewFiles(paths ...string) *Files {
	return &Files{paths: paths, parsed: map[string]parsedFile{}}
}

// Signers reads the files. If one cannot be read, or has not exactly one key in it, that is an error: what was there
// before stays in use.
func (f *Files) Signers(context.Context) ([]Signer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Signer
	for _, path := range f.paths {
		content, err := readBounded(path)
		if err != nil {
			return nil, fmt.Errorf("signing key file: %w", err)
		}
		sum := sha256.Sum256(content)
		if f.parsed[path].sum != sum || f.parsed[path].private == nil {
			private, err := parsePEM(content)
			if err != nil {
				return nil, fmt.Errorf("signing key file %s: %w", path, err)
			}
			f.parsed[path] = parsedFile{sum, hide(private)}
		}
		all = append(all, Signer{Signer: f.parsed[path].private()})
	}
	return all, nil
}

func parsePEM(content []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(content)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("no PEM block PRIVATE KEY in it: make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`")
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, fmt.Errorf("more than one PEM block in it: give each key a file")
	}
	return parsePKCS8(block.Bytes)
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	content, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err == nil && len(content) > maxKeyFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxKeyFile)
	}
	return content, err
}

package envelope

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/coatcheck/coatcheck/verifier"
)

// ParseKey reads the public key of a service: one PEM block, PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE. Empty algorithm and
// id are those of verifier.NewEncryptionKey. A private key is refused: what only the service may open, only the service may
// have the key of.
func ParseKey(text []byte, algorithm, id string) (verifier.EncryptionKeys, error) {
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("envelope: not a PEM block: write the public key with `openssl pkey -pubout`")
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("envelope: a private key: it stays with the service; write its public half with `openssl pkey -pubout`")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("envelope: more than one PEM block: several keys make a JWKS")
	}
	public, err := parsePublic(block)
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	k, err := verifier.NewEncryptionKey(public, algorithm, id)
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	return verifier.EncryptionKeys{k}, nil
}

func parsePublic(block *pem.Block) (crypto.PublicKey, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return c.PublicKey, nil
	}
	return nil, fmt.Errorf("a PEM block of type %q: write the public key with `openssl pkey -pubout`", block.Type)
}

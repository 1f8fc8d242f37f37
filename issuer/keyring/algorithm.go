package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
)

// Algorithms of RFC 7518 §3.1 and RFC 8037 §3.1. A key has one of them all its life: the verifier takes it from the
// key, never from a token (RFC 8725 §3.1).
const (
	ES256 = "ES256" // ECDSA on P-256: the default
	EdDSA = "EdDSA" // Ed25519
	RS256 = "RS256" // RSA, PKCS #1 v1.5
	PS256 = "PS256" // RSA, PSS
)

// Sizes of RSA keys in bits.
const (
	generatedRSA = 3072 // what is generated: as strong as P-256 (NIST SP 800-57 part 1, table 2)
	leastRSA     = 2048 // what is accepted (RFC 7518 §3.3)
	mostRSA      = 8192 // above, one signature costs a verifier milliseconds
)

// CheckAlgorithm refuses a name that is not one of the four.
func CheckAlgorithm(name string) error {
	switch name {
	case ES256, EdDSA, RS256, PS256:
		return nil
	}
	return fmt.Errorf("keyring: algorithm %q is not supported: use %s, %s, %s or %s", name, ES256, EdDSA, RS256, PS256)
}

// generate makes a key for an algorithm. RSA takes about a second.
func generate(algorithm string) crypto.Signer {
	var private crypto.Signer
	var err error
	switch algorithm {
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case RS256, PS256:
		private, err = rsa.GenerateKey(rand.Reader, generatedRSA)
	default:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		panic("keyring: generate a key for " + algorithm + ": " + err.Error())
	}
	return private
}

// fitting is the algorithm that a public key is used with: the preferred one if it fits, else the only one that does.
func fitting(public crypto.PublicKey, preferred string) (string, error) {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", fmt.Errorf("keyring: a key on %s fits no algorithm: use P-256", k.Curve.Params().Name)
		}
		return ES256, nil
	case ed25519.PublicKey:
		return EdDSA, nil
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < leastRSA || bits > mostRSA {
			return "", fmt.Errorf("keyring: an RSA key of %d bits is not used: it must have %d to %d", bits, leastRSA, mostRSA)
		}
		if preferred == PS256 {
			return PS256, nil
		}
		return RS256, nil
	}
	return "", fmt.Errorf("keyring: a key of type %T fits no algorithm: use P-256, Ed25519 or RSA", public)
}

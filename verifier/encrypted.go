package verifier

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// DecryptionKey is a private key of a service whose tokens come encrypted.
type DecryptionKey struct {
	ID        string // the kid under which the issuer knows its public half; default: the RFC 7638 thumbprint
	Algorithm string // ECDHES (default of an EC key), ECDHESA256KW or RSAOAEP256 (default of an RSA key)
	// Private is an *ecdsa.PrivateKey on P-256, P-384 or P-521, an *rsa.PrivateKey of 2048 bits or more, or any
	// crypto.Decrypter with an RSA public key: the key may live in hardware.
	Private crypto.PrivateKey
}

// Public is the half that the issuer encrypts to.
func (d DecryptionKey) Public() (Key, error) {
	private, ok := d.Private.(interface{ Public() crypto.PublicKey })
	if !ok {
		return Key{}, fmt.Errorf("verifier: a %T is no private key", d.Private)
	}
	return NewEncryptionKey(private.Public(), d.Algorithm, d.ID)
}

// opener opens encrypted tokens; one without keys refuses them.
type opener struct {
	keys  map[string]decrypter // by kid
	plain bool                 // with keys: tokens that are not encrypted pass too
}

type decrypter struct {
	algorithm string
	key       any // what go-jose decrypts with
}

func newOpener(keys []DecryptionKey, plain bool) (opener, error) {
	o := opener{keys: make(map[string]decrypter, len(keys)), plain: plain || len(keys) == 0}
	for _, d := range keys {
		public, err := d.Public()
		if err != nil {
			return o, err
		}
		if _, twice := o.keys[public.ID]; twice {
			return o, fmt.Errorf("verifier: two decryption keys have the kid %q", public.ID)
		}
		one := decrypter{public.Algorithm, d.Private}
		switch private := d.Private.(type) {
		case *ecdsa.PrivateKey, *rsa.PrivateKey:
		case crypto.Decrypter:
			one.key = remoteRSA{private}
		default:
			return o, fmt.Errorf("verifier: decryption key %q: nothing can be decrypted with a %T", public.ID, d.Private)
		}
		o.keys[public.ID] = one
	}
	return o, nil
}

// open takes the signed token out of an encrypted one (RFC 7519 §5.2, RFC 7516 §5.2). In this order:
//
//  1. size: at most 16 KiB, before anything is looked at
//  2. five parts or three: whether it is encrypted is the configuration's to say, and not the token's
//  3. alphabet and spelling of each part, and the header: strict JSON, no crit, no zip, cty JWT, enc A256GCM, a kid of ours with the alg of its key
//  4. the key agreement or the unwrapping, and the content
//
// What comes out is as untrusted as any token: who knows the public key can encrypt. A second layer is not opened.
func (o opener) open(raw string) (string, error) {
	if len(raw) > defaultMaxBytes {
		return "", invalid("it is too long")
	}
	switch encrypted := strings.Count(raw, ".") == 4; {
	case encrypted && len(o.keys) == 0:
		return "", invalid("it is encrypted, and this verifier has no decryption key: set Config.Decryption")
	case !encrypted && !o.plain:
		return "", invalid("it is not encrypted, and this service takes only what is")
	case !encrypted:
		return raw, nil
	}
	parts := strings.Split(raw, ".")
	if !isCompact(raw) || slices.ContainsFunc(parts, func(s string) bool { _, ok := decodeSegment(s); return !ok }) {
		return "", invalid("one of its parts is not base64url")
	}
	d, err := o.decrypter(parts[0], parts[1])
	if err != nil {
		return "", err
	}
	sealed, err := jose.ParseEncryptedCompact(raw, []jose.KeyAlgorithm{jose.KeyAlgorithm(d.algorithm)}, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		return "", invalid("it is not a well-formed JWE")
	}
	inner, err := sealed.Decrypt(d.key)
	if err != nil {
		return "", invalid("it does not open")
	}
	return string(inner), nil
}

// decrypter reads the header and finds the key that it names. The library below would take more than what is let
// through here: a zip (a bomb), headers in another case, an encrypted key where there is none.
func (o opener) decrypter(protected, wrapped string) (decrypter, error) {
	text, _ := decodeSegment(protected)
	h, err := parseObject(text)
	if err != nil {
		return decrypter{}, invalid("its header is " + err.Error())
	}
	alg, _ := h.text("alg")
	enc, _ := h.text("enc")
	cty, _ := h.text("cty")
	kid, _ := h.text("kid")
	switch d, known := o.keys[kid]; {
	case h.has("crit"):
		return decrypter{}, invalid("its header has crit")
	case h.has("zip"):
		return decrypter{}, invalid("it is compressed")
	case enc != string(jose.A256GCM):
		return decrypter{}, invalid("its enc is not accepted")
	case !strings.EqualFold(bareType(cty), "JWT"):
		return decrypter{}, invalid("its cty is not JWT")
	case !known:
		return decrypter{}, invalid("it is encrypted to a key that this service has not")
	case alg != d.algorithm:
		return decrypter{}, invalid("its alg is not that of its key")
	case (alg == ECDHES) != (wrapped == ""): // RFC 7516 §5.2, step 10
		return decrypter{}, invalid("its encrypted key does not fit its alg")
	default:
		return d, nil
	}
}

// remoteRSA is an RSA key whose private half is not in this process.
type remoteRSA struct{ key crypto.Decrypter }

// DecryptKey implements jose.OpaqueKeyDecrypter, for RSA-OAEP-256 alone.
func (r remoteRSA) DecryptKey(wrapped []byte, h jose.Header) ([]byte, error) {
	if h.Algorithm != RSAOAEP256 {
		return nil, errors.New("verifier: an RSA key decrypts RSA-OAEP-256 only")
	}
	return r.key.Decrypt(nil, wrapped, &rsa.OAEPOptions{Hash: crypto.SHA256})
}

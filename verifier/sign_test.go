package verifier_test

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/asn1"
	"encoding/binary"
	"math/big"
)

// rawECDSA turns a DER signature into R||S of fixed length (RFC 7518 §3.4).
func rawECDSA(k *ecdsa.PrivateKey, der []byte) []byte {
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		panic(err)
	}
	size := (k.Params().BitSize + 7) / 8
	raw := make([]byte, 2*size)
	sig.R.FillBytes(raw[:size])
	sig.S.FillBytes(raw[size:])
	return raw
}

// signPSS is RSASSA-PSS (RFC 8017 §9.1.1) with SHA-256 and a salt of zeros: crypto/rsa salts at random, and the
// test vectors must come out the same on every run.
func signPSS(k *rsa.PrivateKey, digest []byte, saltLength int) []byte {
	bits := k.N.BitLen() - 1
	size := (bits + 7) / 8
	salt := make([]byte, saltLength)
	h := sha256.Sum256(append(append(make([]byte, 8), digest...), salt...))
	db := make([]byte, size-sha256.Size-1)
	db[len(db)-saltLength-1] = 1
	subtle.XORBytes(db, db, mask(h[:], len(db)))
	db[0] &= 0xff >> (8*size - bits)
	em := append(append(db, h[:]...), 0xbc)
	return new(big.Int).Exp(new(big.Int).SetBytes(em), k.D, k.N).FillBytes(make([]byte, k.Size()))
}

// mask is MGF1 (RFC 8017 §B.2.1).
func mask(seed []byte, n int) []byte {
	var out []byte
	for i := uint32(0); len(out) < n; i++ {
		block := sha256.Sum256(binary.BigEndian.AppendUint32(append([]byte(nil), seed...), i))
		out = append(out, block[:]...)
	}
	return out[:n]
}

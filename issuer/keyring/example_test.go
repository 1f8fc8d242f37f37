package keyring_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/coatcheck/coatcheck/issuer/keyring"
	"github.com/coatcheck/coatcheck/issuer/sealing"
	"github.com/coatcheck/coatcheck/store"
	"github.com/coatcheck/coatcheck/verifier"
)

// module stands for hardware, or for a service on the network: whoever uses it gets signatures and never the key.
type module struct{ key *ecdsa.PrivateKey }

func (m module) Public() crypto.PublicKey { return m.key.Public() }

func (m module) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return m.key.Sign(random, digest, opts)
}

// slots is the list of keys in the module, in the order in which they are to sign.
type slots []module

func (s slots) Signers(context.Context) ([]keyring.Signer, error) {
	var all []keyring.Signer
	for _, m := range s {
		all = append(all, keyring.Signer{Signer: m})
	}
	return all, nil
}

// Signing keys may live anywhere that gives a crypto.Signer. An issuer takes the source as issuer.Config.Signers.
func ExampleSignerSource() {
	ctx := context.Background()
	var hardware slots
	for range 2 { // one signs, the next one is published already
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			log.Fatal(err)
		}
		hardware = append(hardware, module{key})
	}
	encryption, err := sealing.New(make([]byte, 32)) // in earnest: 32 random bytes
	if err != nil {
		log.Fatal(err)
	}
	keeper := keyring.New(keyring.Config{
		State: store.NewMemory(), Sealing: encryption, Life: 10 * time.Minute, Signers: hardware,
	})
	if err := keeper.Look(ctx); err != nil { // Run does it again and again
		log.Fatal(err)
	}
	ring, err := keeper.Current()
	if err != nil {
		log.Fatal(err)
	}
	raw, err := ring.Active().Sign("greeting+jwt", fmt.Appendf(nil, `{"iss":"me","aud":"you","exp":%d}`, time.Now().Add(time.Minute).Unix()))
	if err != nil {
		log.Fatal(err)
	}
	_, err = verifier.Signed(ctx, keeper, raw, verifier.Expect{Type: "greeting+jwt", Issuer: "me", Audience: "you"}, time.Now())
	fmt.Println("verified:", err == nil)
	for _, key := range ring.Keys() {
		fmt.Println(key.State(), key.Algorithm())
	}
	// Output:
	// verified: true
	// active ES256
	// next ES256
}

// Package exchange is the swap: a reference goes in, the JWT for one audience comes out.
//
// The issuer's half is the Depositor. It makes a reference, seals a signed manifest and one JWT per audience under a
// key that is derived from the reference, and stores the blob under an id that is derived from it too. The edge's half
// is the Exchange. It recognises its own references, takes the record, opens it, verifies the manifest and keeps the
// result in a bounded cache. What comes of it is a Pass: a grant that is still to be decided about, and, for a stream that
// goes on for longer, to be watched (Pass.Watch).
//
// What this package promises:
//
//   - A reference is not the jti, and neither jti nor JWT leads back to it. A log line that names a jti can at most
//     be used to revoke.
//   - A made-up reference, and a genuine one past the longest life, cost one MAC and nothing else: no cache, no store.
//   - Who reads the store learns sizes (to 25 %), times and opaque handles. Opening a record takes the reference and
//     a secret of ours, so even its owner cannot open it there.
//   - Who writes the store can make references fail, and nothing more. Every input of a decision comes from a
//     manifest that the issuer signed, and a token goes out only if the manifest has its hash.
//   - The cache answers only while the revocation log vouches for what it holds: its shard has a lease, and nothing read
//     from the log since names the grant, by its jti, family, client, subject or signing key. An answer that the log does
//     not vouch for is used for one lease, counted from before it was asked for, by those who waited for it.
//   - The decision comes last, with the way to the upstream free (Pass.Decide), and says for how long it is good: never
//     beyond those leases, never beyond the exp of the manifest. A revoker who waits a lease out has outlasted them all.
//   - When the store cannot answer the result is "cannot decide", never yes and never no.
//   - A swap that hits the cache, and its decision, allocate nothing and take no lock shared between references.
//   - References, tokens and keys cannot be printed, logged or marshalled by mistake.
//
// # From the reference
//
//	reference = prefix "_" random minute tag crc                                  see Reference
//	tag       = HMAC-SHA256(stamp key, 18 "coatcheck/v1/stamp" n prefix 43 random 5 minute), first 8 bytes
//	jti       = HKDF-SHA256(reference, no salt, "coatcheck/v1/jti"), 16 bytes in hex
//	pepper    = HKDF-SHA256(stamp key, no salt, "coatcheck/v1/pepper"), 32 bytes
//	seal key  = HKDF-SHA256(reference, salt = pepper, "coatcheck/v1/seal"), 32 bytes
//	key id    = HKDF-SHA256(stamp key, no salt, "coatcheck/v1/stamp-id"), 4 bytes
//
// testdata/vectors.json has all of them with fixed keys, for whoever writes a second implementation.
package exchange

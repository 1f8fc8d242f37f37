// verify.mjs JWKS ISSUER AUDIENCE <TOKEN: verifies an access token as a service in JavaScript would, with jose.
import { readFileSync } from 'node:fs';
import { createLocalJWKSet, jwtVerify } from 'jose';

const [keys, issuer, audience] = process.argv.slice(2);
const token = readFileSync(0, 'utf8').trim();
const set = createLocalJWKSet(JSON.parse(readFileSync(keys, 'utf8')));
await jwtVerify(token, set, { issuer, audience, typ: 'at+jwt', requiredClaims: ['exp', 'iat', 'sub', 'jti'] });

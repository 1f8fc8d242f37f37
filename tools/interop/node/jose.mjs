// jose.mjs ISSUER <TOKEN: a service that fetches the key set by itself.
import { readFileSync } from 'node:fs';
import { createRemoteJWKSet, jwtVerify, errors } from 'jose';

const [issuer] = process.argv.slice(2);
const token = readFileSync(0, 'utf8').trim();
const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
const { payload } = await jwtVerify(token, keys, { issuer, audience: 'orders-api', typ: 'at+jwt' });
if (payload.aud !== 'orders-api') throw new Error(`aud is ${payload.aud}`);
await jwtVerify(token, keys, { issuer, audience: 'billing-api', typ: 'at+jwt' }).then(
  () => { throw new Error('a token for one service verifies at its neighbour'); },
  (e) => { if (!(e instanceof errors.JWTClaimValidationFailed)) throw e; });
console.log('ok');

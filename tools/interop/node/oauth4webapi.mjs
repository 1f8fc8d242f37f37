// oauth4webapi.mjs ISSUER CLIENT SECRET EDGE <TOKEN: the strictest reading of the RFCs that there is, as a client and as a
// service.
import { readFileSync } from 'node:fs';
import * as oauth from 'oauth4webapi';

const [issuer, id, secret, edge] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true }; // http on loopback
const url = new URL(issuer);
const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure }));
const client = { client_id: id };
for (const auth of [oauth.ClientSecretBasic(secret), oauth.ClientSecretPost(secret)]) {
  const answer = await oauth.clientCredentialsGrantRequest(as, client, auth, { resource: [], scope: 'orders:read' }, insecure);
  const token = await oauth.processClientCredentialsResponse(as, client, answer);
  const used = await oauth.protectedResourceRequest(token.access_token, 'GET', new URL(`${edge}/orders/1`), undefined, undefined, insecure);
  if (used.status !== 200) throw new Error(`the edge answers ${used.status}`);
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, token.access_token, insecure));
}

// Wrong credentials are an error that it understands.
const denied = await oauth.clientCredentialsGrantRequest(as, client, oauth.ClientSecretBasic('wrong'), {}, insecure);
await oauth.processClientCredentialsResponse(as, client, denied).then(
  () => { throw new Error('wrong credentials got a token'); },
  (e) => { if (!(e instanceof oauth.WWWAuthenticateChallengeError) && e.error !== 'invalid_client') throw e; });

// A service checks what it received by RFC 9068.
const token = readFileSync(0, 'utf8').trim();
const request = new Request(`${edge}/orders/1`, { headers: { authorization: `Bearer ${token}` } });
const claims = await oauth.validateJwtAccessToken(as, request, 'orders-api', insecure);
if (claims.client_id !== id) throw new Error(JSON.stringify(claims));
console.log('ok');

// openid-client.mjs ISSUER CLIENT SECRET EDGE: a client that discovers the issuer, gets a token, uses it and gives it back.
import * as client from 'openid-client';

const [issuer, id, secret, edge] = process.argv.slice(2);
for (const [algorithm, auth] of [
  ['oauth2', client.ClientSecretBasic(secret)], ['oidc', client.ClientSecretPost(secret)],
]) {
  const config = await client.discovery(new URL(issuer), id, undefined, auth, {
    algorithm, execute: [client.allowInsecureRequests], // http on loopback
  });
  const token = await client.clientCredentialsGrant(config, { scope: 'orders:read' });
  if (token.token_type !== 'bearer' || token.scope !== 'orders:read' || !(token.expiresIn() > 0)) throw new Error(JSON.stringify(token));
  const use = () => fetch(`${edge}/orders/1`, { headers: { authorization: `Bearer ${token.access_token}` } });
  if ((await use()).status !== 200) throw new Error(`${algorithm}: the edge does not take the token`);
  await client.tokenRevocation(config, token.access_token);
  if ((await use()).status !== 401) throw new Error(`${algorithm}: the edge takes a token that was given back`);
}
console.log('ok');

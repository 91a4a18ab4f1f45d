// A real OpenID provider for tests: people and clients come from a file that is read at each log-in.
// node server.js PORT CALLBACK PEOPLE.json; prints "ready". Each start has a key of its own.
import { readFileSync } from 'node:fs';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const [port, callback, people] = process.argv.slice(2);
const { privateKey } = await generateKeyPair('RS256', { extractable: true });
const key = { ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256', kid: `key-${process.pid}` };
const client = { redirect_uris: [callback], grant_types: ['authorization_code'], response_types: ['code'] };

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    { ...client, client_id: 'console', client_secret: 'a secret: of & the test' },
    { ...client, client_id: 'public', token_endpoint_auth_method: 'none' },
    { ...client, client_id: 'shared', client_secret: 'shared by two, and long enough for it', id_token_signed_response_alg: 'HS256' },
  ],
  jwks: { keys: [key] },
  pkce: { required: () => true },
  claims: { openid: ['sub'], profile: ['preferred_username'], groups: ['groups'] },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'HS256'] },
  conformIdTokenClaims: process.env.CLAIMS_APART === '1',
  cookies: { keys: ['of a test'] },
  ttl: { AccessToken: 600, AuthorizationCode: 60, IdToken: 600, Interaction: 600, Session: 600, Grant: 600 },
  findAccount(_, id) {
    const claims = JSON.parse(readFileSync(people))[id];
    return claims && { accountId: id, claims: () => ({ sub: id, ...claims }) };
  },
  async loadExistingGrant(ctx) { // nobody is asked whether the console may know them
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid profile groups');
    await grant.save();
    return grant;
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));

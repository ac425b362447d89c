// An OpenID provider for tests, with the development pages of its library: whoever signs in is believed.
// Accounts are named by what is typed: NAME has the address NAME@example.com, which is verified unless the
// name begins with "unverified". There are two: one that tells addresses when it is asked for them, as the
// standard says, and one that tells them in the ID token, as Google does. It prints their ports, and ends with
// its standard input.
import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const { MODULES, REDIRECT_URI, CLIENT_ID, CLIENT_SECRET } = process.env;
const library = pathToFileURL(path.join(MODULES, 'oidc-provider', 'lib', 'index.js'));
const { default: Provider } = await import(library);

const findAccount = (_ctx, id) => ({
  accountId: id,
  claims: () => ({
    sub: id,
    email: `${id}@example.com`,
    email_verified: !id.startsWith('unverified'),
    given_name: id,
    family_name: 'Lovelace',
  }),
});

const configuration = (inIdToken) => ({
  clients: [
    {
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      redirect_uris: [REDIRECT_URI],
      token_endpoint_auth_method: inIdToken ? 'client_secret_post' : 'client_secret_basic',
    },
  ],
  claims: {
    email: ['email', 'email_verified'],
    profile: ['given_name', 'family_name'],
  },
  conformIdTokenClaims: !inIdToken,
  cookies: { keys: ['only for tests'] },
  findAccount,
  pkce: { required: () => true },
});

const served = (inIdToken) => new Promise((resolve) => {
  const server = http.createServer();
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.on('request', new Provider(`http://localhost:${port}`, configuration(inIdToken)).callback());
    resolve(port);
  });
});

console.log(JSON.stringify({ userinfo: await served(false), id_token: await served(true) }));

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));

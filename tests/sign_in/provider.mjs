// An OpenID provider for tests, with the development pages of its library: whoever signs in is believed.
// Accounts are named by what is typed: NAME has the address NAME@example.com, which is verified unless the
// name begins with "unverified". It prints its port, and ends with its standard input.
import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const { MODULES, REDIRECT_URI, CLIENT_ID, CLIENT_SECRET, CLAIMS_IN_ID_TOKEN, AUTH_METHOD } = process.env;
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

const server = http.createServer();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://localhost:${port}`, {
    clients: [
      {
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
        redirect_uris: [REDIRECT_URI],
        token_endpoint_auth_method: AUTH_METHOD || 'client_secret_basic',
      },
    ],
    claims: {
      email: ['email', 'email_verified'],
      profile: ['given_name', 'family_name'],
    },
    conformIdTokenClaims: !CLAIMS_IN_ID_TOKEN,
    cookies: { keys: ['only for tests'] },
    findAccount,
    pkce: { required: () => true },
  });
  server.on('request', provider.callback());
  console.log(JSON.stringify({ port }));
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));

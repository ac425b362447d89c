// The official Node client, unmodified: what it calls and what it is answered is noted down.
'use strict';

const assert = require('node:assert/strict');
const { writeFileSync } = require('node:fs');
const axios = require('axios').default;
const { Client, Token } = require('@lucidtech/las-sdk-core');
const { ClientCredentials } = require('@lucidtech/las-sdk-node');

const PRIVATE = ['constructor', 'getAuthorizationHeaders'];
const methods = Object.getOwnPropertyNames(Client.prototype).filter(
  (name) => !PRIVATE.includes(name) && !name.startsWith('makeAuthorized'),
);
const used = new Set();
const answers = [];

function note(response) {
  if (!response) return;
  const { method, url, responseType } = response.config;
  if (responseType !== 'arraybuffer') {
    answers.push({ method, url, status: response.status, body: response.data });
  }
}

axios.interceptors.response.use(
  (response) => {
    note(response);
    return response;
  },
  (error) => {
    note(error.response);
    return Promise.reject(error);
  },
);

const { LAS_API_ENDPOINT, LAS_CLIENT_ID, LAS_CLIENT_SECRET, LAS_AUTH_ENDPOINT } = process.env;
const login = [LAS_API_ENDPOINT, LAS_CLIENT_ID, LAS_CLIENT_SECRET, LAS_AUTH_ENDPOINT];
const credentials = new ClientCredentials(...login);
const client = new Proxy(new Client(credentials), {
  get(target, name) {
    if (!methods.includes(name)) return target[name];
    used.add(name);
    return target[name].bind(target);
  },
});

/** The client of somebody who has a token already. */
function clientOf(token) {
  const storage = { getPersistentToken: () => new Token(token, Date.now() + 60_000), setPersistentToken() {} };
  return new Client(new ClientCredentials(...login, storage));
}

/** The call fails with this status and a message that names the cause. */
async function refused(status, call, named = '') {
  await assert.rejects(call, (error) => {
    assert.equal(error.response?.status, status, String(error));
    assert.ok(error.response.data.message.includes(named), error.response.data.message);
    return true;
  });
}

/** All items of a list, page by page. */
async function all(list, name, options = {}) {
  const items = [];
  let nextToken;
  do {
    const page = await list({ ...options, maxResults: 2, ...(nextToken && { nextToken }) });
    assert.ok(page[name].length <= 2);
    items.push(...page[name]);
    nextToken = page.nextToken;
  } while (nextToken);
  return items;
}

/** Ask until the answer is accepted. */
async function eventually(read, accept, seconds = 60) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await read();
    if (accept(answer)) return answer;
    assert.ok(Date.now() < deadline, `after ${seconds} s still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

const unused = () => methods.filter((name) => !used.has(name));
const writeAnswers = () => writeFileSync(process.env.ANSWERS_PATH, JSON.stringify(answers));

module.exports = { all, client, clientOf, eventually, refused, unused, writeAnswers };

'use strict';

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const test = require('node:test');
const { all, client, clientOf, refused } = require('./client.cjs');

const { PERSON_TOKEN, PROFILE_ID } = process.env;

const URLS = ['https://app.example.com'];

test('app clients', async () => {
  const created = await client.createAppClient({
    name: 'Web',
    generateSecret: false,
    callbackUrls: URLS,
    logoutUrls: URLS,
    loginUrls: URLS,
    defaultLoginUrl: URLS[0],
  });
  const { appClientId } = created;

  assert.equal(created.hasSecret, false);
  assert.deepEqual(created.callbackUrls, URLS);
  assert.equal((await client.updateAppClient(appClientId, { name: null })).name, null);
  await refused(400, () => client.updateAppClient(appClientId, { callbackUrls: URLS }), 'callbackUrls');
  const listed = await all((page) => client.listAppClients(page), 'appClients');
  assert.ok(listed.some((item) => item.appClientId === appClientId));
  assert.equal((await client.deleteAppClient(appClientId)).appClientId, appClientId);
  await refused(404, () => client.deleteAppClient(appClientId), appClientId);
});

test('users', async () => {
  const created = await client.createUser(`${randomUUID()}@example.com`, { metadata: { team: 1 } });
  const { userId } = created;

  assert.equal(created.status, 'invite_pending');
  assert.ok(!('email' in created));
  const changed = await client.updateUser(userId, { roleIds: ['las:role:member'], metadata: { team: 2 } });
  assert.deepEqual([changed.roleIds, changed.metadata], [['las:role:member'], { team: 2 }]);
  assert.deepEqual(await client.getUser(userId), changed);
  assert.ok((await all((page) => client.listUsers(page), 'users')).some((user) => user.userId === userId));
  await client.deleteUser(userId);
  await refused(404, () => client.getUser(userId), userId);
});

test('roles', async () => {
  const roles = await all((page) => client.listRoles(page), 'roles');

  assert.ok(roles.length >= 3);
  assert.deepEqual(await client.getRole(roles[0].roleId), roles[0]);
  await refused(404, () => client.getRole('las:role:nobody'), 'nobody');
});

test('profiles belong to people', async () => {
  const unknown = `las:profile:${'0'.repeat(32)}`;

  await refused(404, () => client.getProfile('me'));
  await refused(404, () => client.getProfile(unknown), unknown);
  await refused(404, () => client.updateProfile('me', { givenName: 'Ada', familyName: null }));
});

test('a person has a profile', async () => {
  const person = clientOf(PERSON_TOKEN);
  const own = await person.getProfile('me');

  assert.equal(own.profileId, PROFILE_ID);
  assert.ok(own.email);
  const changed = await person.updateProfile('me', { givenName: 'Grace', locale: 'nb-NO', picture: null });
  assert.deepEqual([changed.givenName, changed.locale, changed.picture], ['Grace', 'nb-NO', null]);
  const seen = await client.getProfile(PROFILE_ID);
  assert.equal(seen.givenName, 'Grace');
  assert.ok(!('email' in seen));
  await refused(403, () => client.updateProfile(PROFILE_ID, { givenName: 'Ada' }));
});

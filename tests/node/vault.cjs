'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { all, client, refused } = require('./client.cjs');

test('assets', async () => {
  const created = await client.createAsset(Buffer.from('<form>'), { name: 'Form' });
  const { assetId } = created;

  assert.equal(created.name, 'Form');
  assert.equal((await client.getAsset(assetId)).content, Buffer.from('<form>').toString('base64'));
  const changed = await client.updateAsset(assetId, { name: null, content: Buffer.from('<other>') });
  assert.equal(changed.name, null);
  assert.equal((await client.getAsset(assetId)).content, Buffer.from('<other>').toString('base64'));
  assert.ok((await all((page) => client.listAssets(page), 'assets')).some((asset) => asset.assetId === assetId));
  assert.equal((await client.deleteAsset(assetId)).assetId, assetId);
  await refused(404, () => client.getAsset(assetId), assetId);
});

test('secrets', async () => {
  const created = await client.createSecret({ username: 'ada' }, { name: 'Registry' });
  const { secretId } = created;

  const changed = await client.updateSecret(secretId, { data: { username: 'grace' }, name: null, description: 'd' });
  assert.deepEqual([changed.name, changed.description], [null, 'd']);
  const listed = await all((page) => client.listSecrets(page), 'secrets');
  assert.ok(listed.some((secret) => secret.secretId === secretId));
  assert.ok(listed.every((secret) => !('data' in secret)));
  // This client has no deleteSecret of its own.
  await client.makeDeleteRequest(`/secrets/${secretId}`);
  await refused(404, () => client.updateSecret(secretId, { name: 'x' }), secretId);
});

test('payment methods', async () => {
  const created = await client.createPaymentMethod({ name: 'Card' });
  const { paymentMethodId, stripeSetupIntentSecret } = created;

  assert.equal((await client.getPaymentMethod(paymentMethodId)).name, 'Card');
  const changed = await client.updatePaymentMethod(paymentMethodId, { stripeSetupIntentSecret, name: null });
  assert.equal(changed.name, null);
  assert.notEqual(changed.details, null);
  const listed = await all((page) => client.listPaymentMethods(page), 'paymentMethods');
  assert.ok(listed.some((method) => method.paymentMethodId === paymentMethodId));
  await client.deletePaymentMethod(paymentMethodId);
  await refused(404, () => client.getPaymentMethod(paymentMethodId), paymentMethodId);
});

test('organization and plans', async () => {
  const organization = await client.getOrganization('me');
  const { organizationId, name, planId } = organization;

  assert.equal((await client.updateOrganization(organizationId, { name: 'Node' })).name, 'Node');
  assert.equal((await client.updateOrganization('me', { name, planId })).planId, planId);
  assert.ok((await all((page) => client.listPlans(page), 'plans')).some((plan) => plan.planId === planId));
  assert.equal((await client.getPlan(planId)).planId, planId);
  for (const unknown of ['las:plan:no-such-plan', `las:organization:somebody-else/${planId}`]) {
    await refused(404, () => client.getPlan(unknown), `Plan ${unknown} not found`);
  }
});

test('deployment environments', async () => {
  const list = (page) => client.listDeploymentEnvironments(page);
  const [first] = await all(list, 'deploymentEnvironments');

  assert.deepEqual(await client.getDeploymentEnvironment(first.deploymentEnvironmentId), first);
  const nobody = await client.listDeploymentEnvironments({ owner: ['las:organization:nobody'] });
  assert.deepEqual(nobody.deploymentEnvironments, []);
});

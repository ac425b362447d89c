'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { all, client, eventually, refused } = require('./client.cjs');

const { DATA_BUNDLE_ID, DOCUMENT_ID, MODEL_ID, TRAINING_ID } = process.env;
const FIELDS = { total: { type: 'amount', maxLength: 20, description: 'what is to be paid' } };

test('models', async () => {
  const created = await client.createModel(FIELDS, { name: 'Receipts', metadata: { a: 1 } });
  const { modelId } = created;

  assert.deepEqual([created.status, created.fieldConfig], ['inactive', FIELDS]);
  const changed = await client.updateModel(modelId, { name: null, preprocessConfig: { maxPages: 3 } });
  assert.deepEqual([changed.name, changed.preprocessConfig.maxPages], [null, 3]);
  assert.equal((await client.getModel(modelId, { statisticsLastNDays: 30 })).name, null);
  const owner = created.organizationId;
  assert.equal((await client.getModel(`${owner}/${modelId}`)).modelId, modelId);
  await refused(400, () => client.getModel(modelId, { statisticsLastNDays: 31 }), 'statisticsLastNDays');
  const listed = await all((page) => client.listModels(page), 'models', { owner: ['me'] });
  assert.ok(listed.some((model) => model.modelId === modelId));
  await refused(400, () => client.createModel(FIELDS, { width: 801 }), 'width');
  await client.deleteModel(modelId);
  await refused(404, () => client.getModel(modelId), modelId);
});

test('data bundles', async () => {
  const { modelId } = await client.createModel(FIELDS);
  const { datasetId } = await client.createDataset({});
  const created = await client.createDataBundle(modelId, [datasetId], { name: 'Empty' });
  const { dataBundleId } = created;

  assert.deepEqual([created.status, created.summary], ['running', null]);
  const list = (page) => client.listDataBundles(modelId, page);
  const [ended] = await eventually(() => all(list, 'dataBundles'), ([bundle]) => bundle.status !== 'running');
  assert.equal(ended.status, 'succeeded');
  assert.equal((await client.updateDataBundle(modelId, dataBundleId, { name: null })).name, null);
  assert.equal((await client.deleteDataBundle(modelId, dataBundleId)).dataBundleId, dataBundleId);
  assert.deepEqual(await all(list, 'dataBundles'), []);
  await client.deleteDataset(datasetId);
  await client.deleteModel(modelId);
});

test('trainings', async () => {
  const created = await client.createTraining(MODEL_ID, { dataBundleIds: [DATA_BUNDLE_ID], instanceType: 'small-gpu' });
  const { trainingId } = created;

  const cancelled = await client.updateTraining(MODEL_ID, trainingId, { status: 'cancelled', name: 'Stopped' });
  assert.deepEqual([cancelled.status, cancelled.name], ['cancelled', 'Stopped']);
  const list = (page) => client.listTrainings(MODEL_ID, page);
  const listed = await all(list, 'trainings');
  assert.ok(listed.some((training) => training.trainingId === trainingId));
  const done = await all(list, 'trainings', { status: ['succeeded'] });
  assert.ok(done.some((training) => training.trainingId === TRAINING_ID));
  assert.ok(done.every((training) => training.status === 'succeeded'));
});

test('predictions', async () => {
  const created = await client.createPrediction(DOCUMENT_ID, MODEL_ID, { maxPages: 1, rotation: 0, autoRotate: false });

  assert.equal(created.modelId, MODEL_ID);
  assert.ok(created.predictions.some((found) => found.label === 'total'));
  const listed = await client.listPredictions({ modelId: MODEL_ID, sortBy: 'createdTime', order: 'descending' });
  assert.equal(listed.predictions[0].predictionId, created.predictionId);
});

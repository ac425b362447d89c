'use strict';

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const test = require('node:test');
const { all, client, refused } = require('./client.cjs');

const { DOCUMENT_ID } = process.env;
const consent = () => `las:consent:${randomUUID().replaceAll('-', '')}`;

test('datasets', async () => {
  const created = await client.createDataset({ name: 'May', metadata: { a: 1 } });
  const { datasetId } = created;

  const changed = await client.updateDataset(datasetId, { name: null, retentionInDays: 9 });
  assert.deepEqual([changed.name, changed.retentionInDays, changed.metadata], [null, 9, { a: 1 }]);
  assert.deepEqual(await client.getDataset(datasetId), changed);
  const listed = await all((page) => client.listDatasets(page), 'datasets');
  assert.ok(listed.some((dataset) => dataset.datasetId === datasetId));
  await client.deleteDataset(datasetId);
  await refused(404, () => client.getDataset(datasetId), datasetId);
});

test('documents', async () => {
  const content = Buffer.from((await client.getDocument(DOCUMENT_ID)).content, 'base64');
  const { datasetId } = await client.createDataset({});
  const consentId = consent();
  const options = { consentId, datasetId, name: 'Invoice', groundTruth: [{ label: 'total', value: '1.00' }] };
  const created = await client.createDocument(content, 'application/pdf', options);
  const { documentId } = created;

  assert.equal(created.name, 'Invoice');
  const stored = await client.getDocument(documentId);
  assert.ok(Buffer.from(stored.content, 'base64').equals(content));
  assert.equal(stored.contentType, 'application/pdf');
  const picture = Buffer.from(await client.makeFileServerGetRequest(stored.fileUrl, { width: 80, page: 0 }));
  assert.deepEqual([...picture.subarray(0, 2)], [0xff, 0xd8]);
  const cleared = await client.updateDocument(documentId, { groundTruth: null, name: null, metadata: { a: 1 } });
  assert.equal(cleared.name, null);
  assert.deepEqual(cleared.groundTruth ?? [], []);
  const listed = await all((page) => client.listDocuments(page), 'documents', { consentId: [consentId], datasetId });
  assert.deepEqual(listed.map((document) => document.documentId), [documentId]);
  const replaced = await client.makeFileServerPutRequest(stored.fileUrl, content);
  assert.ok(replaced !== undefined);
  await client.deleteDocument(documentId);
  await refused(404, () => client.getDocument(documentId), documentId);
  await client.deleteDataset(datasetId);
});

test('documents are deleted with their dataset', async () => {
  const { datasetId } = await client.createDataset({});
  const consentId = consent();
  const create = (options) => client.createDocument(Buffer.from('%PDF-1.7 a'), 'application/pdf', options);
  await create({ datasetId });
  const { documentId } = await create({ datasetId });
  await create({ consentId });

  await refused(400, () => client.deleteDataset(datasetId));
  await client.deleteDataset(datasetId, true);
  await refused(404, () => client.getDocument(documentId), documentId);
  const deleted = await client.deleteDocuments({ consentId });
  assert.deepEqual([deleted.documents.length, deleted.nextToken], [1, null]);
});

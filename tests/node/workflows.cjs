'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { all, client, eventually, refused } = require('./client.cjs');

const IMAGE = 'registry.example.com/team/step:v1';
const COMMONS_FAILED = 'las:transition:commons-failed';

test('transitions', async () => {
  const parameters = { imageUrl: IMAGE, cpu: 256, environment: { A: '1' } };
  const created = await client.createTransition('docker', { name: 'Step', parameters });
  const { transitionId } = created;

  assert.deepEqual(await client.getTransition(transitionId), created);
  const changed = await client.updateTransition(transitionId, { name: null, parameters: { environment: null } });
  assert.deepEqual([changed.name, changed.parameters.cpu, changed.parameters.imageUrl], [null, 256, IMAGE]);
  await refused(400, () => client.updateTransition(transitionId, { environment: {} }), 'environment');
  const listed = await all((page) => client.listTransitions(page), 'transitions', { transitionType: ['docker'] });
  assert.ok(listed.some((transition) => transition.transitionId === transitionId));
  await client.deleteTransition(transitionId);
  await refused(404, () => client.getTransition(transitionId), transitionId);
});

test('executions of a transition', async () => {
  const { transitionId } = await client.createTransition('manual');
  const states = { Only: { Type: 'Task', Resource: transitionId, End: true } };
  const specification = { language: 'ASL', version: '1.0.0', definition: { StartAt: 'Only', States: states } };
  const { workflowId } = await client.createWorkflow('One step', specification);
  const started = await client.executeWorkflow(workflowId, {});
  const created = await client.executeTransition(transitionId);
  const { executionId } = created;

  assert.equal(created.status, 'running');
  await client.sendHeartbeat(transitionId, executionId, {});
  await refused(400, () => client.updateTransitionExecution(transitionId, executionId, { status: 'done' }), 'status');
  const ended = await client.updateTransitionExecution(transitionId, executionId, { status: 'succeeded', output: { a: 1 } });
  assert.deepEqual(ended.output, { a: 1 });
  assert.equal((await client.getTransitionExecution(transitionId, executionId)).status, 'succeeded');
  const list = (page) => client.listTransitionExecutions(transitionId, page);
  const listed = await all(list, 'executions', { status: ['succeeded'], executionId: [executionId] });
  assert.deepEqual(listed.map((execution) => execution.executionId), [executionId]);
  await client.deleteWorkflowExecution(workflowId, started.executionId);
  await client.deleteWorkflow(workflowId);
  await client.deleteTransition(transitionId);
});

test('workflows', async () => {
  const { transitionId } = await client.createTransition('manual');
  const states = { Only: { Type: 'Task', Resource: transitionId, End: true } };
  const specification = { language: 'ASL', version: '1.0.0', definition: { StartAt: 'Only', States: states } };
  const created = await client.createWorkflow('Approval', specification, { errorConfig: { manualRetry: true } });
  const { workflowId } = created;

  assert.deepEqual([created.name, created.errorConfig], ['Approval', { manualRetry: true }]);
  assert.ok(!('specification' in created));
  const changed = await client.updateWorkflow(workflowId, { name: null, status: 'production' });
  assert.deepEqual([changed.name, changed.status], [null, 'production']);
  assert.deepEqual(await client.getWorkflow(workflowId), changed);
  const listed = await all((page) => client.listWorkflows(page), 'workflows');
  assert.ok(listed.some((workflow) => workflow.workflowId === workflowId));

  const execution = await client.executeWorkflow(workflowId, { title: 'May' });
  const { executionId } = execution;
  assert.deepEqual([execution.status, execution.input], ['running', { title: 'May' }]);
  assert.equal((await client.getWorkflowExecution(workflowId, executionId)).executionId, executionId);
  const running = await all((page) => client.listWorkflowExecutions(workflowId, page), 'executions', { status: 'running' });
  assert.deepEqual(running.map((item) => item.executionId), [executionId]);
  const { logs } = await eventually(
    () => client.makeGetRequest('/logs', { workflowExecutionId: executionId }),
    (answer) => answer.logs.length > 0,
  );
  assert.equal((await client.getLog(logs[0].logId)).workflowExecutionId, executionId);
  const ended = await client.updateWorkflowExecution(workflowId, executionId, { nextTransitionId: COMMONS_FAILED });
  assert.equal(ended.status, 'failed');
  await client.deleteWorkflowExecution(workflowId, executionId);
  await client.deleteWorkflow(workflowId);
  await refused(404, () => client.getWorkflow(workflowId), workflowId);
  await client.deleteTransition(transitionId);
});

test('a request written by hand', async () => {
  const dataset = await client.makePostRequest('/datasets', { name: 'Raw' });
  const changed = await client.makePatchRequest(`/datasets/${dataset.datasetId}`, { name: null });

  assert.equal(changed.name, null);
  await client.deleteDataset(dataset.datasetId);
});

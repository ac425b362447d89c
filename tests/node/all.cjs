// Everything in one process: the last test sees what all the others have called.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { unused, writeAnswers } = require('./client.cjs');

require('./vault.cjs');
require('./people.cjs');
require('./documents.cjs');
require('./models.cjs');
require('./workflows.cjs');

test('every method of the client was called', () => {
  writeAnswers();
  assert.deepEqual(unused(), []);
});

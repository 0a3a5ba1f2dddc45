// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Suspends and resumes a domain in the thread pool, and sees that each event arrives, once and in order.
'use strict';

const assert = require('assert');

async function flood(connection, name, count) {
  const arrived = [];
  let all;
  const complete = new Promise((resolve) => (all = resolve));
  const onLifecycle = ({ name: domain, event }) => {
    arrived.push(`${domain} ${event}`);
    if (arrived.length === count) all();
  };
  connection.on('lifecycle', onLifecycle);
  for (let i = 0; i < count; i += 2) {
    await connection.suspend(name);
    await connection.resume(name);
  }
  await complete;
  connection.off('lifecycle', onLifecycle);
  const expected = Array.from({ length: count }, (_, i) => `${name} ${i % 2 ? 'resumed' : 'suspended'}`);
  assert.deepStrictEqual(arrived, expected);
}

module.exports = { flood };

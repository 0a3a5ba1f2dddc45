// SPDX-License-Identifier: LGPL-2.1-or-later
//
// libvirt's events beside what a Node program does anyway, in one loop: timers, an HTTP server, the thread pool.
'use strict';

const assert = require('assert');
const http = require('http');
const { after, before, test } = require('node:test');
const virtUv = require('virt-uv');
const { Connection } = require('./binding.js');
const { flood } = require('./flood.js');

const bounded = { timeout: 120000 };
let connection;

before(async () => {
  virtUv.attach();
  connection = await Connection.open('test:///default');
}, bounded);

after(async () => {
  await connection.close();
  await virtUv.drain();
  await virtUv.detach();
}, bounded);

// While it runs, `iterations` has the time of each iteration of the loop. Node's clock and the loop's are the same.
function watchIterations() {
  const watch = { iterations: [], stop: () => clearImmediate(watch.next) };
  const iteration = () => {
    watch.iterations.push(performance.now());
    watch.next = setImmediate(iteration);
  };
  iteration();
  return watch;
}

// How many whole iterations the loop ran between the moment a timer was due and the moment it ran.
function iterationsLate(watch, ms) {
  const due = performance.now() + ms + 1; // Node rounds to whole milliseconds.
  return new Promise((resolve) => setTimeout(() => resolve(watch.iterations.filter((time) => time > due).length), ms));
}

test('10,000 events arrive in order, none lost', bounded, () => flood(connection, 'test', 10000));

// libuv's clock may be the kernel's coarse one, which a busy machine lets lag: so one timer in a hundred is let off.
test('a timer that is due runs within an iteration of the loop, events or not', bounded, async () => {
  const watch = watchIterations();
  let flooding = true;
  const late = [];
  const timers = (async () => {
    while (flooding) late.push(await iterationsLate(watch, late.length % 5));
  })();
  await flood(connection, 'test', 2000);
  flooding = false;
  await timers;
  watch.stop();
  assert.ok(late.length > 0);
  assert.ok(late.filter((iterations) => iterations > 1).length <= late.length / 100, `iterations late: ${late}`);
});

test('an HTTP server in the same loop answers every request while events come', bounded, async () => {
  const server = http.createServer((_request, response) => response.end(String(virtUv.stats().callbacks)));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  const ask = () =>
    new Promise((resolve, reject) => {
      const read = (response) => {
        let body = '';
        response.on('data', (data) => (body += data)).on('end', () => resolve(Number(body)));
      };
      http.get({ port, host: '127.0.0.1', agent: false }, read).on('error', reject);
    });
  let flooding = true;
  const answers = [];
  const asking = (async () => {
    while (flooding) answers.push(await ask());
  })();
  await flood(connection, 'test', 2000);
  flooding = false;
  await asking;
  await new Promise((resolve) => server.close(resolve));
  // The count of callbacks grew from answer to answer: requests and events took turns.
  assert.ok(new Set(answers).size > 2, `answers: ${answers}`);
});

test('a blocking call in the thread pool holds nothing up', bounded, async () => {
  const other = await Connection.open('test:///default');
  const lists = Array.from({ length: 50 }, () => other.domains());
  await flood(connection, 'test', 100);
  for (const list of await Promise.all(lists)) assert.strictEqual(list[0].name, 'test');
  await other.close();
});

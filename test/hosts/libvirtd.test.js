// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Through a socket to a libvirtd: events of a real connection, and what is heard when it dies.
'use strict';

const assert = require('assert');
const { once } = require('events');
const { afterEach, beforeEach, test } = require('node:test');
const virtUv = require('virt-uv');
const { Connection } = require('./binding.js');
const { flood } = require('./flood.js');
const { Libvirtd } = require('./libvirtd.js');
const { runProgram, ended } = require('./program.js');

const bounded = { timeout: 120000 };
const ERROR = 0, EOF = 1, KEEPALIVE = 2; // virConnectCloseReason
const KEEP_ALIVE = { interval: 1, count: 1 };
let libvirtd;

beforeEach(async () => {
  libvirtd = await Libvirtd.start();
  virtUv.attach();
}, bounded);

afterEach(async () => {
  await virtUv.drain();
  await virtUv.detach();
  await libvirtd.stop();
}, bounded);

test('10,000 events of a remote connection arrive in order, none lost', bounded, async () => {
  const connection = await Connection.open(libvirtd.uri, { keepAlive: { interval: 5, count: 3 } });
  assert.ok(virtUv.watches().some((entry) => entry.type === 'watch'));
  await flood(connection, 'test', 10000);
  await connection.close();
});

test('what one connection does, another one in the same loop hears', bounded, async () => {
  const connections = await Promise.all([1, 2, 3].map(() => Connection.open(libvirtd.uri)));
  const heard = Promise.all(connections.map((connection) => once(connection, 'lifecycle')));
  await connections[0].suspend('test');
  assert.deepStrictEqual((await heard).map(([{ event }]) => event), ['suspended', 'suspended', 'suspended']);
  await Promise.all(connections.map((connection) => connection.close()));
});

test('a connection whose libvirtd is killed is closed, and another one can be opened', bounded, async () => {
  const connection = await Connection.open(libvirtd.uri);
  const closed = once(connection, 'closed');
  await libvirtd.kill();
  assert.ok([ERROR, EOF].includes((await closed)[0]));
  await assert.rejects(connection.domains());
  await connection.close();
  await libvirtd.restart();
  const again = await Connection.open(libvirtd.uri);
  await flood(again, 'test', 100);
  await again.close();
});

test('keepalive finds a libvirtd that no longer answers', bounded, async () => {
  const connection = await Connection.open(libvirtd.uri, { keepAlive: KEEP_ALIVE });
  const closed = once(connection, 'closed');
  await libvirtd.pause();
  assert.strictEqual((await closed)[0], KEEPALIVE);
  await connection.close();
});

test('a worker that is terminated with a remote connection open hands it to the main thread', bounded, async () => {
  await virtUv.detach();
  const result = await runProgram(
    async (uri) => {
      const worker = startWorker((workerUri) => {
        virtUv.attach();
        sync.countEventsOf(sync.open(workerUri));
        require('worker_threads').parentPort.postMessage('open');
      }, uri);
      await once(worker, 'message');
      await worker.terminate();
      virtUv.attach();
      const connection = await Connection.open(uri);
      const event = once(connection, 'lifecycle');
      await connection.suspend('test');
      await event;
      while (sync.eventsCounted() === 0) await new Promise(setImmediate);
      say('counted', sync.eventsCounted());
      process.exit(0);
    },
    { args: [libvirtd.uri] },
  );
  assert.deepStrictEqual(result, ended('counted 1\n'));
  virtUv.attach();
});

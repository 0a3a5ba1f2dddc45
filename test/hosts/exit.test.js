// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How a process ends: by itself when nothing holds it, and by process.exit() at any moment, cleanly.
'use strict';

const assert = require('assert');
const { test } = require('node:test');
const { runProgram, ended } = require('./program.js');

const bounded = { timeout: 120000 };

test('attached with nothing registered, a process ends by itself', bounded, async () => {
  assert.deepStrictEqual(await runProgram(() => virtUv.attach()), ended(''));
});

test('an open connection keeps the process alive, as a socket does', bounded, async () => {
  const result = await runProgram(() => {
    virtUv.attach();
    const conn = sync.open('test:///default');
    const callback = sync.countEventsOf(conn);
    // This timer does not hold the process: when it fires, something else does.
    setTimeout(() => {
      say('alive');
      sync.ignore(conn, callback);
      sync.close(conn);
    }, 200).unref();
  });
  assert.deepStrictEqual(result, ended('alive\n'));
});

test('after unref() it ends with the connection open', bounded, async () => {
  const result = await runProgram(() => {
    virtUv.attach();
    sync.countEventsOf(sync.open('test:///default'));
    virtUv.unref();
    setTimeout(() => say('still alive'), 60000).unref();
  });
  assert.deepStrictEqual(result, ended(''));
});

test('ref() takes unref() back, and so does the next attach', bounded, async () => {
  const result = await runProgram(async () => {
    virtUv.attach();
    const conn = sync.open('test:///default');
    const callback = sync.countEventsOf(conn);
    const alive = () => new Promise((resolve) => setTimeout(resolve, 100).unref());
    virtUv.unref();
    virtUv.ref();
    await alive();
    say('after ref');
    virtUv.unref();
    await virtUv.detach();
    virtUv.attach();
    await alive();
    say('after attach');
    sync.ignore(conn, callback);
    sync.close(conn);
  });
  assert.deepStrictEqual(result, ended('after ref\nafter attach\n'));
});

const moments = {
  'after attach': () => {
    virtUv.attach();
    process.exit(9);
  },
  'with a connection open': () => {
    virtUv.attach();
    sync.countEventsOf(sync.open('test:///default'));
    process.exit(9);
  },
  'in an event': async () => {
    virtUv.attach();
    const connection = await Connection.open('test:///default');
    connection.on('lifecycle', () => process.exit(9));
    await connection.suspend('test');
    setInterval(() => {}, 1000);
  },
  'with events queued': async () => {
    virtUv.attach();
    await Connection.open('test:///default');
    const conn = sync.open('test:///default');
    sync.suspend(sync.lookup(conn, 'test'));
    process.exit(9);
  },
  'with calls under way in the thread pool': async () => {
    virtUv.attach();
    const connection = await Connection.open('test:///default');
    for (let i = 0; i < 20; ++i) connection.domains().catch(() => {});
    setImmediate(() => process.exit(9));
  },
  'while it detaches': () => {
    virtUv.attach();
    virtUv.detach();
    process.exit(9);
  },
  'once detached': async () => {
    virtUv.attach();
    await virtUv.detach();
    process.exit(9);
  },
  'while it drains': async () => {
    virtUv.attach();
    const connection = await Connection.open('test:///default');
    await connection.close();
    virtUv.drain();
    process.exit(9);
  },
  'with a log listener': () => {
    virtUv.onLog(() => {});
    virtUv.attach();
    process.exit(9);
  },
  'by an uncaught exception in an event': async () => {
    process.on('uncaughtException', () => process.exit(9));
    virtUv.attach();
    const connection = await Connection.open('test:///default');
    connection.on('lifecycle', () => process.nextTick(() => { throw new Error('on purpose'); }));
    await connection.suspend('test');
    setInterval(() => {}, 1000);
  },
};

for (const [moment, main] of Object.entries(moments)) {
  test(`process.exit() is clean ${moment}`, bounded, async () => {
    assert.deepStrictEqual(await runProgram(main), ended('', 9));
  });
}

test(
  'a process that ends by itself with the connection unref()ed, a drain waiting and a listener is clean',
  bounded,
  async () => {
    const result = await runProgram(() => {
      virtUv.onLog(() => {});
      virtUv.attach();
      sync.countEventsOf(sync.open('test:///default'));
      virtUv.drain();
      virtUv.unref();
    });
    assert.deepStrictEqual(result, ended(''));
  },
);

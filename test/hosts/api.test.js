// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The functions of the package, one by one, on the main thread.
'use strict';

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { test } = require('node:test');
const { once } = require('events');
const virtUv = require('virt-uv');
const { Connection } = require('./binding.js');
const { runProgram, ended } = require('./program.js');

const bounded = { timeout: 60000 };

async function attached(use) {
  virtUv.attach();
  try {
    await use();
  } finally {
    await virtUv.detach();
  }
}

async function connected(use) {
  await attached(async () => {
    const connection = await Connection.open('test:///default');
    try {
      await use(connection);
    } finally {
      await connection.close();
      await virtUv.drain();
    }
  });
}

test('the version is the one in the header and in package.json', () => {
  const header = fs.readFileSync(path.join(__dirname, '../../include/virt-uv/virt-uv.h'), 'utf8');
  const part = (name) => header.match(new RegExp(`define VIRT_UV_VERSION_${name} (\\d+)`))[1];
  assert.strictEqual(virtUv.version, `${part('MAJOR')}.${part('MINOR')}.${part('MICRO')}`);
  assert.strictEqual(virtUv.version, require('virt-uv/package.json').version);
});

test('whatever needs an attached thread says ENOTCONN where there is none', async () => {
  await assert.rejects(virtUv.detach(), { name: 'Error', code: 'ENOTCONN' });
  await assert.rejects(virtUv.drain(), { code: 'ENOTCONN' });
  assert.throws(() => virtUv.ref(), { code: 'ENOTCONN' });
  assert.throws(() => virtUv.unref(), { code: 'ENOTCONN' });
});

test('a bad argument is EINVAL and its message names what was expected', () => {
  const badTimes = [-1, 1.5, '5', 2 ** 32].map((slowCallbackMs) => ({ slowCallbackMs }));
  for (const bad of [null, 7, 'x', { slow: 1 }, ...badTimes])
    assert.throws(() => virtUv.attach(bad), {
      name: 'TypeError',
      code: 'EINVAL',
      message: /^virt-uv: attach: .*(object|slowCallbackMs)/,
    });
  for (const bad of [undefined, 'x', {}]) assert.throws(() => virtUv.onLog(bad), { name: 'TypeError', code: 'EINVAL' });
});

test('attach again is welcome, detach gives the loop back, and both can be had again', bounded, async () => {
  for (let round = 0; round < 50; ++round) {
    virtUv.attach();
    virtUv.attach({ slowCallbackMs: round });
    await virtUv.detach();
    await assert.rejects(virtUv.detach(), { code: 'ENOTCONN' });
  }
});

test('two callers that detach at once are both told when it is done', bounded, async () => {
  virtUv.attach();
  await Promise.all([virtUv.detach(), virtUv.detach()]);
});

test('attach while a detach is under way is EBUSY', bounded, async () => {
  virtUv.attach();
  const detached = virtUv.detach();
  assert.throws(() => virtUv.attach(), { code: 'EBUSY' });
  await detached;
  virtUv.attach();
  await virtUv.detach();
});

test('events of a connection arrive as calls in this thread', bounded, async () => {
  await connected(async (connection) => {
    const suspended = once(connection, 'lifecycle');
    await connection.suspend('test');
    assert.strictEqual((await suspended)[0].event, 'suspended');
    const resumed = once(connection, 'lifecycle');
    await connection.resume('test');
    assert.strictEqual((await resumed)[0].event, 'resumed');
  });
});

test('watches and stats tell what a connection has registered, and that nothing is left of it', bounded, async () => {
  const before = virtUv.stats();
  await connected(async () => {
    const entries = virtUv.watches();
    const now = virtUv.stats();
    assert.strictEqual(entries.filter((entry) => entry.type === 'timeout').length, now.timeouts);
    assert.strictEqual(entries.filter((entry) => entry.type === 'watch').length, now.watches);
    assert.ok(now.timeouts > 0);
    for (const entry of entries.filter((entry) => entry.type === 'timeout')) {
      assert.ok(entry.id >= 1);
      assert.deepStrictEqual(Object.keys(entry), ['type', 'id', 'frequency', 'fired', 'lastMs', 'longestUs']);
    }
  });
  const after = virtUv.stats();
  assert.deepStrictEqual(virtUv.watches(), []);
  assert.deepStrictEqual([after.watches, after.timeouts, after.freesPending], [0, 0, 0]);
  assert.ok(after.adds > before.adds);
  assert.strictEqual(after.adds - before.adds, after.frees - before.frees);
  assert.deepStrictEqual(Object.keys(after), [
    'watches', 'timeouts', 'freesPending', 'adds', 'frees', 'callbacks', 'dropped', 'inspections', 'wakeups',
    'failures', 'slowCallbacks', 'exceptions',
  ]);
});

test(
  'a drain that a detach overtakes is ECANCELED, and a connection left open goes on after the next attach',
  bounded,
  async () => {
    virtUv.attach();
    const connection = await Connection.open('test:///default');
    const drained = assert.rejects(virtUv.drain(), { code: 'ECANCELED' });
    await virtUv.detach();
    await drained;
    await connection.suspend('test');
    const suspended = once(connection, 'lifecycle');
    virtUv.attach();
    assert.strictEqual((await suspended)[0].event, 'suspended');
    await connection.resume('test');
    await connection.close();
    await virtUv.drain();
    await virtUv.detach();
  },
);

test('log lines reach the listener, from whichever thread, and null ends that', bounded, async () => {
  const lines = [];
  const line = (pattern) =>
    new Promise((resolve) => virtUv.onLog((level, message) => {
      lines.push([level, message]);
      if (pattern.test(message)) resolve([level, message]);
    }));
  const attachedLine = line(/attached/i);
  virtUv.attach();
  assert.strictEqual((await attachedLine)[0], 'info');
  virtUv.onLog(null);
  const count = lines.length;
  await virtUv.detach();
  virtUv.attach();
  await virtUv.detach();
  assert.strictEqual(lines.length, count);
});

test('lines of other threads are heard too', bounded, async () => {
  const result = await runProgram(
    async () => {
      const heard = new Promise((resolve) => virtUv.onLog((level) => level === 'debug' && resolve()));
      virtUv.attach();
      // in a thread of the pool, where its timeout is added
      const connection = await Connection.open('test:///default');
      await heard;
      await connection.close();
      await virtUv.drain();
      await virtUv.detach();
      say('heard');
    },
    { env: { VIRT_UV_LOG: 'debug' } },
  );
  assert.deepStrictEqual(result, ended('heard\n'));
});

test('what a log listener throws is an uncaught exception', bounded, async () => {
  const result = await runProgram(() => {
    const awake = setInterval(() => {}, 1000);
    process.on('uncaughtException', (error) => {
      say(error.message);
      clearInterval(awake);
    });
    virtUv.onLog(() => {
      virtUv.onLog(null);
      throw new Error('from the listener');
    });
    virtUv.attach();
  });
  assert.deepStrictEqual(result, ended('from the listener\n'));
});

test("a promise that libvirt's callback resolves goes on before the loop sleeps", bounded, async () => {
  const result = await runProgram(async () => {
    virtUv.attach();
    const cat = require('child_process').spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
    // A timeout's callback comes before the loop sleeps, and what cat answers ends that sleep. Node runs what promises
    // have waiting after its own callbacks only: here, after the one that looks.
    let wentOn = false;
    const timeout = sync.addTimeout(1, () => {
      sync.updateTimeout(timeout, -1);
      Promise.resolve().then(() => (wentOn = true));
      cat.stdin.write('x');
    });
    cat.stdout.on('data', () => {
      say('went on:', wentOn);
      process.exit(0);
    });
  });
  assert.deepStrictEqual(result, ended('went on: true\n'));
});

test("what an event's listener throws is an uncaught exception, and later events come", bounded, async () => {
  const result = await runProgram(async () => {
    process.on('uncaughtException', (error) => say('uncaught', error.message));
    virtUv.attach();
    const connection = await Connection.open('test:///default');
    let heard;
    connection.on('lifecycle', ({ event }) => {
      say(event);
      heard();
      throw new Error(`after ${event}`);
    });
    for (const act of ['suspend', 'resume']) {
      const event = new Promise((resolve) => (heard = resolve));
      await connection[act]('test');
      await event;
    }
    await connection.close();
    await virtUv.drain();
    await virtUv.detach();
  });
  const lines = 'suspended\nuncaught after suspended\nresumed\nuncaught after resumed\n';
  assert.deepStrictEqual(result, ended(lines));
});

test('detach() in an event, while a cancelled drain() calls detach() too', bounded, async () => {
  const result = await runProgram(async () => {
    virtUv.attach();
    const connection = await Connection.open('test:///default');
    const inner = virtUv.drain().catch((error) => {
      say(error.code);
      return virtUv.detach();
    });
    connection.once('lifecycle', async () => {
      await Promise.all([virtUv.detach(), inner]);
      say('detached', virtUv.watches().length > 0);
      virtUv.attach();
      await connection.close();
      await virtUv.drain();
      await virtUv.detach();
      say('and again');
    });
    await connection.suspend('test');
  });
  assert.deepStrictEqual(result, ended('ECANCELED\ndetached true\nand again\n'));
});

test("a connection that cannot be opened is an Error with libvirt's words", bounded, async () => {
  const result = await runProgram(
    async () => {
      virtUv.attach();
      const fail = (_, i) => Connection.open(`test:///missing${i}`).catch((error) => error);
      const failures = await Promise.all(Array.from({ length: 8 }, fail));
      for (const [i, { message }] of failures.entries())
        say(i, message.includes(`'/missing${i}'`) ? 'its own' : message);
      await virtUv.detach();
    },
    { env: { VIRT_UV_LOG: 'none' } },
  );
  assert.strictEqual(result.stdout, Array.from({ length: 8 }, (_, i) => `${i} its own\n`).join(''));
});

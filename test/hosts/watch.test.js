// SPDX-License-Identifier: LGPL-2.1-or-later
//
// watch() in the main thread: records, the queue, errors, the end, and whose the attachment is.
'use strict';

const assert = require('assert');
const os = require('os');
const { once } = require('events');
const { test } = require('node:test');
const { Worker } = require('worker_threads');
const virtUv = require('virt-uv');
require('./program_globals.js');
const { runProgram, asSource } = require('./program.js');
const { read, word, SilentHost } = require('./watching.js');

const bounded = { timeout: 120000 };
const TEST = 'test:///default';
const isAttached = () => {
  try {
    virtUv.ref();
    return true;
  } catch (error) {
    assert.strictEqual(error.code, 'ENOTCONN');
    return false;
  }
};

// Suspends and resumes, in turn, in this process's own test driver.
function act(count) {
  const conn = sync.open(TEST);
  const domain = sync.lookup(conn, 'test');
  for (let i = 0; i < count; ++i) sync[i % 2 ? 'resume' : 'suspend'](domain);
  sync.free(domain);
  sync.close(conn);
}

const nameOf = (i) => `lifecycle test ${i % 2 ? 'Resumed' : 'Suspended'}`;
const expected = (count) => Array.from({ length: count }, (_, i) => nameOf(i));

test('the iterator gives records in order; leaving it closes the watcher, and detaches', bounded, async () => {
  const watcher = virtUv.watch(TEST, { state: true });
  const words = [];
  for await (const record of watcher) {
    words.push(word(record));
    if (record.event === 'state') act(4);
    if (words.length === 6) break;
  }
  assert.deepStrictEqual(words, ['connection opened', 'state test running', ...expected(4)]);
  assert.strictEqual(isAttached(), false);
  const { watches, timeouts, freesPending } = virtUv.stats();
  assert.deepStrictEqual([watches, timeouts, freesPending], [0, 0, 0]);
  assert.deepStrictEqual(await watcher[Symbol.asyncIterator]().next(), { done: true, value: undefined });
});

test('listeners are called with what the iterator would have given', bounded, async () => {
  const watcher = virtUv.watch([TEST], { events: 'lifecycle', state: true });
  const words = [];
  const complete = new Promise((resolve) => {
    watcher.on('connection', (record) => words.push(word(record)));
    watcher.on('event', (record) => {
      words.push(word(record));
      if (record.event === 'state') act(100);
      if (words.length === 102) resolve();
    });
  });
  await complete;
  assert.deepStrictEqual(words, ['connection opened', 'state test running', ...expected(100)]);
  await watcher.close();
});

test('while there is an iterator, listeners hear what it reads', bounded, async () => {
  const watcher = virtUv.watch(TEST, { events: 'lifecycle' });
  const iterated = read(watcher, 3);
  const heard = [];
  watcher.on('connection', (record) => heard.push(record)).on('event', (record) => heard.push(record));
  await once(watcher, 'connection');
  act(2);
  assert.deepStrictEqual((await iterated).map(word), ['connection opened', ...expected(2)]);
  await new Promise(setImmediate);
  assert.deepStrictEqual(heard, await iterated);
  await watcher.close();
});

test('a listener that comes late hears what has waited', bounded, async () => {
  const watcher = virtUv.watch(TEST, { events: 'lifecycle' });
  await read(watcher, 1);
  await watcher.close();
  const second = virtUv.watch(TEST, { events: 'lifecycle' });
  const states = virtUv.watch(TEST, { state: true });
  await read(states, 2);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.strictEqual(word((await once(second, 'connection'))[0]), 'connection opened');
  await Promise.all([second.close(), states.close()]);
});

test('a slow reader: what the queue cannot hold is dropped, and one record says how many', bounded, async () => {
  const COUNT = 1000;
  const watcher = virtUv.watch(TEST, { events: 'lifecycle', queueBytes: 4096 });
  await read(watcher, 1);
  const other = virtUv.watch(TEST, { events: 'lifecycle' });
  await read(other, 1);
  act(COUNT);
  await read(other, COUNT);
  const records = await read(watcher, ({ event }) => event === 'dropped');
  const dropped = records.pop();
  assert.deepStrictEqual(records.map(word), expected(records.length));
  const bytes = records.reduce((sum, record) => sum + JSON.stringify(record).length, 0);
  assert.ok(bytes <= 4096 && bytes > 2048, `${bytes} bytes`);
  assert.strictEqual(records.length + dropped.count, COUNT);
  act(2);
  assert.deepStrictEqual((await read(watcher, 2)).map(word), expected(2));
  await Promise.all([watcher.close(), other.close()]);
});

test('what a listener throws is an uncaught exception, and later events come', bounded, async () => {
  const result = await runProgram(() => {
    const watcher = virtUv.watch('test:///default', { events: 'lifecycle' });
    process.on('uncaughtException', (error) => say('uncaught', error.message));
    watcher.once('connection', () => {
      const domain = sync.lookup(sync.open('test:///default'), 'test');
      for (const verb of ['suspend', 'resume', 'suspend']) sync[verb](domain);
    });
    let count = 0;
    watcher.on('event', ({ type }) => {
      say(type);
      if (++count === 3) watcher.close().then(() => process.exit(0));
      throw new Error(`after ${type}`);
    });
  });
  const lines = ['Suspended', 'Resumed', 'Suspended'].map((type) => `${type}\nuncaught after ${type}\n`);
  assert.strictEqual(result.stdout, lines.join(''));
});

test('an AbortSignal ends it, and so does one that is aborted already', bounded, async () => {
  const controller = new AbortController();
  const watcher = virtUv.watch(TEST, { signal: controller.signal });
  await read(watcher, 1);
  const next = watcher[Symbol.asyncIterator]().next();
  controller.abort();
  assert.deepStrictEqual(await next, { done: true, value: undefined });
  await watcher.close();
  assert.strictEqual(isAttached(), false);
  const never = virtUv.watch(TEST, { signal: controller.signal });
  for await (const record of never) assert.fail(JSON.stringify(record));
  await never.close();
  assert.strictEqual(isAttached(), false);
});

test('Symbol.asyncDispose closes it, and close() may be called again', bounded, async () => {
  if (!Symbol.asyncDispose) return assert.ok(Number(process.versions.node.split('.')[0]) < 20);
  const watcher = virtUv.watch(TEST);
  await read(watcher, 1);
  await watcher[Symbol.asyncDispose]();
  assert.strictEqual(isAttached(), false);
  assert.strictEqual(watcher.close(), watcher.close());
});

test('an attachment that is there is shared, and stays; detach() is EBUSY meanwhile', bounded, async () => {
  virtUv.attach();
  const watcher = virtUv.watch(TEST);
  await read(watcher, 1);
  await assert.rejects(virtUv.detach(), { code: 'EBUSY', message: /a watcher is open/ });
  await watcher.close();
  assert.strictEqual(isAttached(), true);
  await virtUv.detach();
  assert.strictEqual(isAttached(), false);
});

test('attach() takes over the attachment of a watcher', bounded, async () => {
  const watcher = virtUv.watch(TEST);
  virtUv.attach();
  await watcher.close();
  assert.strictEqual(isAttached(), true);
  await virtUv.detach();
});

test('the last watcher gives the loop back, and one that is opened meanwhile has it again', bounded, async () => {
  const [first, second] = [virtUv.watch(TEST), virtUv.watch(TEST)];
  await Promise.all([read(first, 1), read(second, 1)]);
  await first.close();
  assert.strictEqual(isAttached(), true);
  const closed = second.close();
  while (isAttached()) await new Promise(setImmediate);
  assert.throws(() => virtUv.attach(), { code: 'EBUSY' }); // not yet
  const third = virtUv.watch(TEST, { events: 'lifecycle' });
  assert.strictEqual(word((await read(third, 1))[0]), 'connection opened');
  await closed;
  act(2);
  assert.deepStrictEqual((await read(third, 2)).map(word), expected(2));
  await third.close();
  assert.strictEqual(isAttached(), false);
});

test('opening and closing leaves no fd and no thread that grows in number', bounded, async () => {
  const round = async () => {
    const watcher = virtUv.watch([TEST, TEST, TEST]);
    await read(watcher, 3);
    await watcher.close();
  };
  await round();
  const before = openFds();
  for (let i = 0; i < 50; ++i) await round();
  assert.strictEqual(openFds(), before);
});

test('a URI that libvirt cannot read rejects the iterator, and closes the watcher', bounded, async () => {
  const watcher = virtUv.watch('nonsense');
  await assert.rejects(read(watcher, 1), { code: 'EINVAL', uri: 'nonsense', message: /is not a libvirt URI/ });
  await watcher.close();
  assert.strictEqual(isAttached(), false);
});

test('with a listener of `error` the other connections go on', bounded, async () => {
  const watcher = virtUv.watch(['nonsense', TEST], { events: 'lifecycle' });
  // once() of node:events would be rejected by the error.
  const heard = (name) => new Promise((resolve) => watcher.once(name, resolve));
  const opened = heard('connection');
  assert.strictEqual((await heard('error')).code, 'EINVAL');
  await opened;
  const event = once(watcher, 'event');
  act(2);
  assert.strictEqual(word((await event)[0]), expected(1)[0]);
  await watcher.close();
});

test('an error that nobody listens for is an uncaught exception where records are emitted', bounded, async () => {
  const result = await runProgram(() => {
    virtUv.watch('nonsense').on('event', () => {});
  });
  assert.strictEqual(result.code, 1);
  assert.match(result.stderr, /'nonsense' is not a libvirt URI/);
});

test('a host that is down is a warning, and with reconnect: false an error', bounded, async () => {
  const uri = 'test+unix:///default?socket=/nowhere';
  const watcher = virtUv.watch(uri);
  const [warning] = await once(watcher, 'warning');
  assert.strictEqual(warning.uri, uri);
  assert.match(warning.message, /cannot be opened: .*No such file or directory; trying again in [0-9.]+ s$/);
  await watcher.close();
  const single = virtUv.watch(uri, { reconnect: false });
  await assert.rejects(read(single, 1), { code: 'EIO', uri, message: /cannot be opened: / });
  await single.close();
});

test('bad arguments are EINVAL, and name what is wrong', () => {
  const bad = [
    [[undefined], /uris/], [[[]], /uris/], [['']], [['a\0b']], [[TEST, 7], /options/],
    [[TEST, { stats: 1 }], /"stats"/], [[TEST, { events: [] }]],
    [[TEST, { events: 'lifecycles' }], /no event 'lifecycles' in libvirt .*lifecycle, reboot/],
    [[TEST, { state: 1 }], /state/], [[TEST, { keepalive: 5 }], /keepalive/], [[TEST, { queueBytes: 4095 }], /4096/],
    [[TEST, { signal: {} }], /signal/], [[TEST, { reconnect: 'no' }], /reconnect/], [[TEST, { events: '\ud800' }]],
  ];
  for (const [args, message = /watch: /] of bad)
    assert.throws(() => virtUv.watch(...args), { name: 'TypeError', code: 'EINVAL', message });
  assert.strictEqual(isAttached(), false);
});

test('a host that does not answer keeps neither close() nor the process', bounded, async () => {
  const host = await new SilentHost().start();
  const result = await runProgram(async (uri) => {
    const watcher = virtUv.watch(uri);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await watcher.close();
    say('closed', virtUv.stats().watches);
  }, { args: [host.uri] });
  host.stop();
  assert.match(result.stdout, /^closed [01]\n$/);
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
});

// The producer is a thread of this process, as far ahead as the queue can hold.
test('100,000 events arrive in order, none lost', { timeout: 300000 }, async (t) => {
  const COUNT = 100000;
  const received = new Int32Array(new SharedArrayBuffer(4));
  const watcher = virtUv.watch(TEST, { events: 'lifecycle' });
  await read(watcher, 1);
  const produce = (count) => {
    const { workerData: seen } = require('worker_threads');
    const conn = sync.open('test:///default');
    const domain = sync.lookup(conn, 'test');
    for (let i = 0; i < count; ++i) {
      for (let n = Atomics.load(seen, 0); i - n > 1000; n = Atomics.load(seen, 0)) Atomics.wait(seen, 0, n);
      sync[i % 2 ? 'resume' : 'suspend'](domain);
    }
    sync.free(domain);
    sync.close(conn);
  };
  const producer = new Worker(asSource(produce, [COUNT]), { eval: true, workerData: received });
  const producerEnded = once(producer, 'exit');
  // Both are measured from the first record on: starting a worker pauses this thread too.
  let [begun, last, longest, count] = [0, 0, 0, 0];
  const measure = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (count < COUNT) setImmediate(measure);
  };
  for await (const record of watcher) {
    if (record.type !== (count % 2 ? 'Resumed' : 'Suspended')) assert.fail(`${count}: ${JSON.stringify(record)}`);
    if (count === 0) {
      begun = last = performance.now();
      setImmediate(measure);
    }
    if (++count === COUNT) break;
    Atomics.store(received, 0, count);
    if (count % 100 === 0) Atomics.notify(received, 0);
  }
  const seconds = (performance.now() - begun) / 1000;
  const load = os.loadavg()[0].toFixed(1);
  const rate = Math.round((COUNT - 1) / seconds);
  t.diagnostic(`${rate} events a second; longest pause of the thread: ${longest.toFixed(1)} ms; load: ${load}`);
  await producerEnded;
});

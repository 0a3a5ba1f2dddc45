// SPDX-License-Identifier: LGPL-2.1-or-later
//
// watch() in worker threads, and how they end: also while a thread waits for a host that does not answer.
'use strict';

const assert = require('assert');
const { test } = require('node:test');
const { runProgram, ended } = require('./program.js');

const bounded = { timeout: 120000 };
const quiet = { env: { VIRT_UV_LOG: 'none' } };

const waysToEnd = {
  'terminate()': () => require('worker_threads').parentPort.postMessage('terminate me'),
  'terminate() while it computes': () => {
    require('worker_threads').parentPort.postMessage('terminate me');
    for (;;);
  },
  'process.exit() in it': () => process.exit(7),
  'an exception in it': () => {
    throw new Error('on purpose');
  },
  'terminate() while it closes': () => {
    globalThis.watcher.close();
    require('worker_threads').parentPort.postMessage('terminate me');
  },
};

for (const [name, end] of Object.entries(waysToEnd)) {
  test(`a watcher ends with its worker: ${name}`, bounded, async () => {
    const result = await runProgram(async (endSource) => {
      const worker = startWorker(async (source) => {
        globalThis.watcher = virtUv.watch(['test:///default', 'test:///default'], { events: 'lifecycle' });
        for await (const record of globalThis.watcher) if (record.event === 'connection') break_();
        function break_() {
          globalThis.opened = (globalThis.opened ?? 0) + 1;
          if (globalThis.opened === 2) (0, eval)(source)();
        }
      }, endSource);
      worker.on('message', () => worker.terminate());
      worker.on('error', (error) => say(error.message));
      await new Promise((resolve) => worker.on('exit', resolve));
      const watcher = virtUv.watch('test:///default');
      await once(watcher, 'connection');
      await watcher.close();
      const { watches, timeouts, freesPending } = virtUv.stats();
      say(watches, timeouts, freesPending);
    }, { args: [`(${end})`] });
    const thrown = end === waysToEnd['an exception in it'] ? 'on purpose\n' : '';
    assert.deepStrictEqual(result, ended(`${thrown}0 0 0\n`));
  });
}

test('a worker that has closed its watcher ends by itself', bounded, async () => {
  const result = await runProgram(async () => {
    const worker = startWorker(async () => {
      const watcher = virtUv.watch('test:///default', { state: true });
      for await (const { event } of watcher) {
        say(event);
        if (event === 'state') break;
      }
    });
    const [code] = await once(worker, 'exit');
    say('ended', code);
  });
  assert.deepStrictEqual(result, ended('connection\nstate\nended 0\n'));
});

test('watch() in a second thread is EBUSY', bounded, async () => {
  const result = await runProgram(async () => {
    const watcher = virtUv.watch('test:///default');
    const worker = startWorker(() => {
      try {
        virtUv.watch('test:///default');
      } catch (error) {
        say(error.code);
      }
    });
    await once(worker, 'exit');
    await watcher.close();
  }, quiet);
  assert.deepStrictEqual(result, ended('EBUSY\n'));
});

test('a worker is terminated while its connection is being opened to a silent host', bounded, async () => {
  const result = await runProgram(async (watching) => {
    const { SilentHost } = require(watching);
    const host = await new SilentHost().start();
    const worker = startWorker((uri) => virtUv.watch([uri, uri, 'test:///default']), host.uri);
    await host.connected();
    say('terminated', await worker.terminate());
    const watcher = virtUv.watch('test:///default', { events: 'lifecycle' });
    await once(watcher, 'connection');
    host.stop(); // the threads come out with an error
    await watcher.close();
    say('closed');
  }, { args: [require.resolve('./watching.js')] });
  assert.deepStrictEqual(result, ended('terminated 1\nclosed\n'));
});

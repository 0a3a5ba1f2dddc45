// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Worker threads: whose loop it is, and how a worker ends. Node aborts the process when a worker's loop is not empty at
// the end of its thread, so each program's exit status tells.
'use strict';

const assert = require('assert');
const { test } = require('node:test');
const { runProgram, ended } = require('./program.js');

const bounded = { timeout: 120000 };
const quiet = { env: { VIRT_UV_LOG: 'none' } };  // a refusal is an exception, and a line on stderr otherwise

test('events come in the thread that attached, and others are EBUSY meanwhile', bounded, async () => {
  const result = await runProgram(async () => {
    const worker = startWorker(async () => {
      const { parentPort, threadId } = require('worker_threads');
      virtUv.attach();
      const connection = await Connection.open('test:///default');
      parentPort.postMessage('attached');
      await once(parentPort, 'message');
      const conn = sync.open('test:///default');
      const domain = sync.lookup(conn, 'test');
      const event = once(connection, 'lifecycle');
      sync.suspend(domain);
      say('in thread', threadId, (await event)[0].event);
      sync.resume(domain);
      sync.free(domain);
      sync.close(conn);
      await connection.close();
      await virtUv.drain();
      await virtUv.detach();
    });
    await once(worker, 'message');
    for (const call of ['attach', 'ref', 'unref']) {
      try {
        virtUv[call]();
      } catch (error) {
        say('main', call, error.code);
      }
    }
    await virtUv.detach().catch((error) => say('main detach', error.code));
    await virtUv.drain().catch((error) => say('main drain', error.code));
    say('main sees', virtUv.watches().length > 0);
    worker.postMessage('go on');
    say('worker ended', await once(worker, 'exit'));
    virtUv.attach();
    await virtUv.detach();
  }, quiet);
  assert.deepStrictEqual(
    result,
    ended(
      'main attach EBUSY\nmain ref ENOTCONN\nmain unref ENOTCONN\nmain detach ENOTCONN\nmain drain ENOTCONN\n' +
        'main sees true\nin thread 1 suspended\nworker ended 0\n',
    ),
  );
});

// Each way to end is run with a connection open, whose callback is no JS; then the main thread attaches and hears from
// it.
const waysToEnd = {
  'its last reference goes': () => virtUv.unref(),
  'process.exit() in it': () => process.exit(7),
  'an exception in it': () => {
    throw new Error('on purpose');
  },
  'terminate() while it waits': () => require('worker_threads').parentPort.postMessage('terminate me'),
  'terminate() while it computes': () => {
    require('worker_threads').parentPort.postMessage('terminate me');
    for (;;);
  },
  'terminate() while it detaches': () => {
    virtUv.detach();
    require('worker_threads').parentPort.postMessage('terminate me');
    for (;;);
  },
  'process.exit() with a drain waiting': () => {
    virtUv.drain();
    process.exit(7);
  },
};

for (const [name, end] of Object.entries(waysToEnd)) {
  test(`a worker ends: ${name}; the main thread takes up its connection`, bounded, async () => {
    const result = await runProgram(async (endSource) => {
      const worker = startWorker((source) => {
        virtUv.attach();
        sync.countEventsOf(sync.open('test:///default'));
        (0, eval)(source)();
      }, endSource);
      worker.on('message', () => worker.terminate());
      worker.on('error', (error) => say(error.message));
      await new Promise((resolve) => worker.on('exit', resolve));
      virtUv.attach();
      const connection = await Connection.open('test:///default');
      const event = once(connection, 'lifecycle');
      await connection.suspend('test');
      await event;
      say('counted', sync.eventsCounted());
      process.exit(0);
    }, { args: [`(${end})`] });
    const thrown = end === waysToEnd['an exception in it'] ? 'on purpose\n' : '';
    assert.deepStrictEqual(result, ended(`${thrown}counted 1\n`));
  });
}

test('a worker that ends with all closed but no detach leaves nothing', bounded, async () => {
  const result = await runProgram(async () => {
    const worker = startWorker(async () => {
      virtUv.attach();
      const connection = await Connection.open('test:///default');
      await connection.close();
    });
    await once(worker, 'exit');
    virtUv.attach();
    await virtUv.drain();
    const { watches, timeouts, freesPending } = virtUv.stats();
    say(watches, timeouts, freesPending);
    await virtUv.detach();
  });
  assert.deepStrictEqual(result, ended('0 0 0\n'));
});

test('fifty workers one after the other, terminated under a flood of events, leave no fd behind', bounded, async () => {
  const result = await runProgram(async () => {
    const oneWorker = async () => {
      const worker = startWorker(() => {
        virtUv.attach();
        const conn = sync.open('test:///default');
        const callback = sync.countEventsOf(conn);
        const domain = sync.lookup(conn, 'test');
        require('worker_threads').parentPort.postMessage(callback);
        const flood = () => {
          sync.suspend(domain);
          sync.resume(domain);
          setImmediate(flood);
        };
        flood();
      });
      await once(worker, 'message');
      await worker.terminate();
    };
    await oneWorker();
    const before = openFds();
    for (let i = 0; i < 50; ++i) await oneWorker();
    say('more fds:', openFds() - before);
    virtUv.attach();
    await virtUv.detach();
    process.exit(0);
  });
  assert.deepStrictEqual(result, ended('more fds: 0\n'));
});

test('terminate() while events call JS', bounded, async () => {
  const result = await runProgram(async () => {
    const worker = startWorker(async () => {
      const { parentPort } = require('worker_threads');
      virtUv.attach();
      const connection = await Connection.open('test:///default');
      const conn = sync.open('test:///default');
      const domain = sync.lookup(conn, 'test');
      connection.on('lifecycle', ({ event }) => {
        parentPort.postMessage(event);
        if (event === 'suspended') sync.resume(domain);
        else sync.suspend(domain);
      });
      sync.suspend(domain);
    });
    for (let i = 0; i < 100; ++i) await once(worker, 'message');
    say('terminated', await worker.terminate());
  });
  assert.deepStrictEqual(result, ended('terminated 1\n'));
});

test('workers that race for the loop: one at a time has it, the others hear EBUSY', bounded, async () => {
  const result = await runProgram(async () => {
    const workers = [1, 2, 3, 4].map(() =>
      startWorker(async () => {
        const { setImmediate: nextIteration } = require('timers/promises');
        for (let done = 0; done < 50; ) {
          try {
            virtUv.attach();
            await virtUv.detach();
            ++done;
          } catch (error) {
            if (error.code !== 'EBUSY') throw error;
            await nextIteration();
          }
        }
      }),
    );
    const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')));
    say(codes.join(' '));
  }, quiet);
  assert.deepStrictEqual(result, ended('0 0 0 0\n'));
});

test('the main thread ends by process.exit() while a worker is attached', bounded, async () => {
  const result = await runProgram(async () => {
    const worker = startWorker(() => {
      virtUv.attach();
      sync.open('test:///default');
      require('worker_threads').parentPort.postMessage('attached');
    });
    await once(worker, 'message');
    process.exit(5);
  });
  assert.deepStrictEqual(result, ended('', 5));
});

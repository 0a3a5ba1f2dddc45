// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The package loaded more than once: from the same files after the require cache was cleared, and from a second folder.
'use strict';

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { after, test } = require('node:test');
const { runProgram, ended } = require('./program.js');

const bounded = { timeout: 300000 };
const first = path.dirname(fs.realpathSync(require.resolve('virt-uv')));
const second = fs.mkdtempSync(path.join(process.env.VIRT_UV_HOSTS_BUILD, 'second-copy-'));
for (const file of ['package.json', 'addon.js', 'index.js', 'watch_options.js', 'watcher.js', 'virt_uv.node'])
  fs.copyFileSync(path.join(first, file), path.join(second, file));
after(() => fs.rmSync(second, { recursive: true }));

const env = { VIRT_UV_SECOND_COPY: second, VIRT_UV_LOG: 'none' };
const loads = { 'loaded again from its files': 'reloadVirtUv', 'loaded from a second folder': 'secondVirtUv' };

for (const [name, load] of Object.entries(loads)) {
  test(`${name}, the package has the one attachment of its thread`, bounded, async () => {
    const main = async (loadName) => {
      const other = globalThis[loadName]();
      say('another module', other !== virtUv);
      virtUv.attach();
      other.attach();
      const connection = await Connection.open('test:///default');
      const event = once(connection, 'lifecycle');
      await connection.suspend('test');
      say((await event)[0].event);
      await connection.close();
      await other.drain();
      await Promise.all([other.detach(), virtUv.detach()]);
      await virtUv.detach().catch((error) => say(error.code));
      other.attach();
      await virtUv.detach();
      say('detached');
    };
    const result = await runProgram(main, { args: [load], env });
    assert.deepStrictEqual(result, ended('another module true\nsuspended\nENOTCONN\ndetached\n'));
  });

  test(`${name}, it attaches after the other has detached, and in a worker`, bounded, async () => {
    const main = async (loadName) => {
      virtUv.attach();
      await virtUv.detach();
      const worker = startWorker(async (workersLoad) => {
        const other = globalThis[workersLoad]();
        other.attach();
        await other.detach();
        say('in a worker');
      }, loadName);
      say('ended', await once(worker, 'exit'));
      const other = globalThis[loadName]();
      other.attach();
      await other.detach();
      say('in the main thread');
    };
    const result = await runProgram(main, { args: [load], env });
    assert.deepStrictEqual(result, ended('in a worker\nended 0\nin the main thread\n'));
  });

  // Node aborts the process when a worker's loop is not empty at the end of its thread.
  test(`${name}, every order of two calls after an attach is clean, however the worker ends`, bounded, async () => {
    const main = async (loadName) => {
      const calls = ['attach', 'detach', 'drain', 'unref'].flatMap((call) => [`first.${call}`, `other.${call}`]);
      const attaches = calls.filter((call) => call.endsWith('attach'));
      const orders = attaches.flatMap((a) => calls.flatMap((b) => calls.map((c) => [a, b, c])));
      // It stays registered, so that a drain waits.
      virtUv.attach();
      sync.addTimeout(-1, () => {});
      await virtUv.detach();
      const run = async (order, end) => {
        const worker = startWorker(
          (workersLoad, steps, workersEnd) => {
            const modules = { first: virtUv, other: globalThis[workersLoad]() };
            const refused = (error) => {
              if (!['ENOTCONN', 'EBUSY', 'ECANCELED'].includes(error.code)) throw error;
            };
            for (const step of steps) {
              const [module, call] = step.split('.');
              try {
                modules[module][call]()?.catch(refused);
              } catch (error) {
                refused(error);
              }
            }
            if (workersEnd === 'exit') process.exit(0);
            if (workersEnd === 'unref') {
              try {
                virtUv.unref();
              } catch (error) {
                refused(error);
              }
            }
            if (workersEnd === 'terminate') {
              require('worker_threads').parentPort.postMessage('terminate me');
              for (;;);
            }
          },
          loadName,
          order,
          end,
        );
        worker.on('message', () => worker.terminate());
        await once(worker, 'exit');
      };
      const ends = ['exit', 'unref', 'terminate'];
      for (const [i, order] of orders.entries()) await run(order, ends[i % ends.length]);
      virtUv.attach();
      await virtUv.detach();
      say('orders:', orders.length);
    };
    const result = await runProgram(main, { args: [load], env, limitMs: 120000 });
    assert.deepStrictEqual(result, ended('orders: 128\n'));
  });
}

for (const [moment, act] of Object.entries({
  'both attached': (a, b) => { a.attach(); b.attach(); },
  'one detaching': (a, b) => { a.attach(); b.attach(); a.detach(); },
  'both detaching, one draining': (a, b) => { a.attach(); b.drain().catch(() => {}); a.detach(); b.detach(); },
})) {
  test(`process.exit() is clean with the module loaded three times, ${moment}`, bounded, async () => {
    const main = (source) => {
      const again = reloadVirtUv();
      (0, eval)(source)(secondVirtUv(), again);
      process.exit(9);
    };
    assert.deepStrictEqual(await runProgram(main, { args: [`(${act})`], env }), ended('', 9));
  });
}

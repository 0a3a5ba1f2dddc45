// SPDX-License-Identifier: LGPL-2.1-or-later
//
// watch() on a real libvirtd, which virsh changes; and beside virt-uv-events --json, whose lines it equals.
'use strict';

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const readline = require('readline');
const { execFile, spawn } = require('child_process');
const { once } = require('events');
const { after, before, test } = require('node:test');
const { promisify } = require('util');
const virtUv = require('virt-uv');
const { Libvirtd } = require('./libvirtd.js');
const { runProgram, ended } = require('./program.js');
const { read, word } = require('./watching.js');

const bounded = { timeout: 120000 };
const TOOL = path.join(process.env.VIRT_UV_HOSTS_BUILD, '../../tools/events/virt-uv-events');
let libvirtd;

before(async () => (libvirtd = await Libvirtd.start()), bounded);
after(() => libvirtd.stop(), bounded);

const virsh = (...args) => promisify(execFile)('virsh', ['-c', libvirtd.uri, ...args]);
const withoutTime = ({ time, ...rest }) => (assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/), rest);

class Tool {
  constructor(...args) {
    this.child = spawn(TOOL, ['--json', '--quiet', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.lines = readline.createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async read(count) {
    const records = [];
    while (records.length < count) records.push(JSON.parse((await this.lines.next()).value));
    return records;
  }

  async stop() {
    this.child.kill();
    await once(this.child, 'exit');
  }
}

test('records are the objects that virt-uv-events --json prints', bounded, async () => {
  const watcher = virtUv.watch(libvirtd.uri, { state: true });
  const tool = new Tool('-c', libvirtd.uri, '--state');
  const records = await read(watcher, 2);
  const lines = await tool.read(2);
  for (let i = 0; i < 3; ++i) {
    await virsh('suspend', 'test');
    await virsh('resume', 'test');
  }
  await virsh('net-destroy', 'default');
  await virsh('net-start', 'default');
  await virsh('desc', 'test', '--title', 'Größe "1" \\ 2');
  const last = ({ event }) => event === 'metadata-change';
  records.push(...(await read(watcher, last)));
  lines.push(...(await tool.read(records.length - 2)));
  await tool.stop();
  assert.deepStrictEqual(records.map(withoutTime), lines.map(withoutTime));
  assert.deepStrictEqual(records.slice(0, 4).map(word), [
    'connection opened', 'state test running', 'lifecycle test Suspended', 'lifecycle test Resumed',
  ]);
  await watcher.close();
});

test('a lost connection is told with its reason, and opened again with its state', bounded, async () => {
  const watcher = virtUv.watch(libvirtd.uri, { events: ['lifecycle'], state: true });
  const warnings = [];
  watcher.on('warning', ({ message }) => warnings.push(message));
  await read(watcher, 2);
  await libvirtd.kill();
  const [lost] = await read(watcher, 1);
  assert.strictEqual(word(lost), 'connection lost');
  assert.ok(lost.reason.length > 0);
  await libvirtd.restart();
  assert.deepStrictEqual((await read(watcher, 2)).map(word), ['connection reopened', 'state test running']);
  assert.match(warnings[0], /lost: .*; trying again in /);
  await virsh('suspend', 'test');
  assert.deepStrictEqual((await read(watcher, 1)).map(word), ['lifecycle test Suspended']);
  await virsh('resume', 'test');
  await watcher.close();
});

test('keepalive finds a host that no longer answers, and close() does not wait for it', bounded, async () => {
  const own = virtUv.watch(libvirtd.uri, { events: 'lifecycle', keepalive: { interval: 1, count: 1 } });
  const other = virtUv.watch(libvirtd.uri, { events: 'lifecycle', keepalive: false });
  await Promise.all([read(own, 1), read(other, 1)]);
  await libvirtd.pause();
  const closed = other.close();
  assert.strictEqual(word((await read(own, 1))[0]), 'connection lost');
  await closed;
  await own.close();
  await libvirtd.kill();
  await libvirtd.restart();
});

test('the example prints events until it is interrupted', bounded, async () => {
  const folder = fs.mkdtempSync(path.join(process.env.VIRT_UV_HOSTS_BUILD, 'example-'));
  const example = path.join(folder, 'events.mjs');
  fs.copyFileSync(path.join(__dirname, '../../doc/examples/node/events.mjs'), example);
  const child = spawn(process.execPath, [example, libvirtd.uri], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => (await lines.next()).value.replace(libvirtd.uri, 'URI').trim();
  assert.deepStrictEqual([await next(), await next()], ['URI opened', 'URI test is running']);
  await virsh('suspend', 'test');
  assert.strictEqual(await next(), 'URI test Suspended Paused');
  await virsh('resume', 'test');
  child.kill('SIGINT');
  assert.deepStrictEqual(await once(child, 'exit'), [0, null]);
  fs.rmSync(folder, { recursive: true });
});

// The thread that comes out of virConnectOpen() for nobody closes what it has opened: the relay sees it.
test('an open that outlives its worker is closed again', bounded, async () => {
  const result = await runProgram(async (watching, socket) => {
    const { SilentHost } = require(watching);
    const host = await new SilentHost().start();
    const worker = startWorker((uri) => virtUv.watch(uri, { events: 'lifecycle' }), host.uri);
    await host.connected();
    await worker.terminate();
    virtUv.attach(); // libvirt closes sockets in the loop
    await host.passOnTo(socket);
    say('closed by the client');
    host.stop();
    await virtUv.drain();
    await virtUv.detach();
  }, { args: [require.resolve('./watching.js'), libvirtd.uri.split('socket=')[1]] });
  assert.deepStrictEqual(result, ended('closed by the client\n'));
});

// SPDX-License-Identifier: LGPL-2.1-or-later
//
// watch() beside @unraid/libvirt, a binding of libvirt that npm compiles here, on libvirtd and in this process.
'use strict';

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { execFile, execFileSync } = require('child_process');
const { after, before, test } = require('node:test');
const { pathToFileURL } = require('url');
const { promisify } = require('util');
const { Libvirtd } = require('./libvirtd.js');
const { runProgram, ended } = require('./program.js');

const build = process.env.VIRT_UV_HOSTS_BUILD;
const binding = path.join(build, 'node_modules', '@unraid', 'libvirt');
const bounded = { timeout: 120000 };
let libvirtd;

// Once. npm's node-gyp downloads Node's headers unless it is told where they are; Debian's own knows. The binding uses
// Node-API, so those of any Node will do.
function compileBinding() {
  if (fs.existsSync(path.join(binding, 'build/Release/libvirt.node'))) return;
  const env = { ...process.env, npm_config_build_from_source: 'true' };
  const prefix = path.join(path.dirname(execFileSync('which', ['npm'], { encoding: 'utf8' })), '..');
  if (fs.existsSync(path.join(prefix, 'include/node/common.gypi'))) env.npm_config_nodedir = prefix;
  execFileSync('npm', ['rebuild', '@unraid/libvirt'], { cwd: build, env, stdio: 'pipe' });
}

before(async () => {
  compileBinding();
  libvirtd = await Libvirtd.start();
}, { timeout: 600000 });
after(() => libvirtd?.stop(), bounded);

test('the example controls a domain, and has the events of it', bounded, async () => {
  const folder = fs.mkdtempSync(path.join(build, 'example-'));
  const example = path.join(folder, 'control.mjs');
  fs.copyFileSync(path.join(__dirname, '../../doc/examples/node/control.mjs'), example);
  for (const uri of [libvirtd.uri, 'test:///default']) {
    const said = await promisify(execFile)(process.execPath, [example, uri, 'test']);
    assert.deepStrictEqual({ ...said }, { stdout: 'test Suspended Paused\ntest Resumed Unpaused\n', stderr: '' });
  }
  fs.rmSync(folder, { recursive: true });
});

test("drain() waits for a binding's object that is alive, and its warning says so", bounded, async () => {
  const result = await runProgram(async (uri, url) => {
    const { Hypervisor } = await import(url);
    require('v8').setFlagsFromString('--expose-gc');
    const collect = require('vm').runInNewContext('gc');
    virtUv.attach();
    const hypervisor = new Hypervisor({ uri });
    await hypervisor.connectOpen();
    let domain = await hypervisor.domainLookupByName('test');
    await hypervisor.connectClose();
    virtUv.onLog((level, message) => {
      if (level !== 'warn') return;
      say(message.replace(/\d+/g, 'N'));
      say('alive', domain !== null);
      domain = null;
      setImmediate(collect);
    });
    await virtUv.drain();
    say('drained');
    await virtUv.detach();
  }, { args: [libvirtd.uri, pathToFileURL(path.join(binding, 'dist', 'index.js'))] });
  const warning =
    'a drain has waited for N ms: watches: N (watch N of fd N), timeouts: N; deregister the events, close each ' +
    'connection, and free each object that holds one (virDomainFree)';
  assert.deepStrictEqual(result, ended(`${warning}\nalive true\ndrained\n`));
});

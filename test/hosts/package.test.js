// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The package as its users meet it: imported and type-checked; and what the addon takes from the host.
'use strict';

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { execFileSync } = require('child_process');
const { test } = require('node:test');
const { schemaTypes } = require('./schema_types.js');

const tree = path.join(__dirname, '..', '..');
const build = process.env.VIRT_UV_HOSTS_BUILD;
const addon = fs.realpathSync(path.join(build, 'node_modules', 'virt-uv', 'virt_uv.node'));
const members = ['attach', 'detach', 'drain', 'onLog', 'ref', 'stats', 'unref', 'version', 'watch', 'watches'];

const run = (command, args, options) => execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe', ...options });

// An empty folder, in the build tree so that modules resolve; gone when `use` is done.
function inFolder(use) {
  const folder = fs.mkdtempSync(path.join(build, 'package-'));
  try {
    use(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function node(folder, name, source) {
  fs.writeFileSync(path.join(folder, name), source);
  return run(process.execPath, [path.join(folder, name)]);
}

test('require() and import, by name and as a whole, give the same members', () => {
  inFolder((folder) => {
    const print = 'console.log(Object.keys(virtUv).sort().join());';
    const list = `${members.join()}\n`;
    assert.strictEqual(node(folder, 'a.cjs', `const virtUv = require('virt-uv'); ${print}`), list);
    assert.strictEqual(node(folder, 'b.mjs', `import virtUv from 'virt-uv'; ${print}`), list);
    const byName = `import { ${members} } from 'virt-uv'; const virtUv = { ${members} }; ${print}`;
    assert.strictEqual(node(folder, 'c.mjs', byName), list);
    const both = `import virtUv, { attach } from 'virt-uv'; console.log(attach === virtUv.attach);`;
    assert.strictEqual(node(folder, 'd.mjs', both), 'true\n');
  });
});

function tsc(folder, ...files) {
  const options = [
    '--strict', '--noUncheckedIndexedAccess', '--noEmit', '--module', 'nodenext', '--target', 'es2022',
    '--types', 'node',
  ];
  run(path.join(build, 'node_modules', '.bin', 'tsc'), [...options, ...files], { cwd: folder });
}

test('the declarations pass tsc --strict, for CommonJS and for ES modules', () => {
  inFolder((folder) => {
    const files = ['types.cts', 'types.mts', 'types_watch.mts'];
    for (const file of files) fs.copyFileSync(path.join(__dirname, file), path.join(folder, file));
    tsc(folder, ...files);
  });
});

// Equal: each record of the schema is one of the union, with the same members, and the other way round.
test('the types of the records are those of the JSON schema of virt-uv-events', () => {
  inFolder((folder) => {
    const source = `
import type { WatchRecord } from 'virt-uv';
type Schema =
  | ${schemaTypes()};
type Flat<T> = T extends object ? { [K in keyof T]: Flat<T[K]> } : T;
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Of<U, E> = U extends { event: infer F } ? (E extends F ? Flat<U> : never) : never;
type Names = Schema['event'] | WatchRecord['event'];
type Different = { [E in Names]: Same<Of<Schema, E>, Of<WatchRecord, E>> extends true ? never : E }[Names];
const different: Different[] = [];
const none: never[] = different;
console.log(none);
`;
    fs.writeFileSync(path.join(folder, 'schema.mts'), source);
    try {
      tsc(folder, 'schema.mts');
    } catch (error) {
      assert.fail(error.stdout);
    }
  });
});

test('the declarations name what the package has, and no more', () => {
  const text = fs.readFileSync(path.join(tree, 'lib', 'node', 'index.d.ts'), 'utf8');
  const declared = [...text.matchAll(/^export (?:function|const) (\w+)/gm)].map((match) => match[1]);
  assert.deepStrictEqual(declared.sort(), members);
});

test('the addon needs no libuv and no libvirt-uv: uv_* is left for the host to give', () => {
  const dynamic = run('readelf', ['-dW', addon]);
  const needed = [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map((match) => match[1]);
  assert.ok(needed.includes('libvirt.so.0'), dynamic);
  assert.deepStrictEqual(needed.filter((name) => /uv/.test(name)), []);
  assert.doesNotMatch(run('ldd', [addon]), /libuv/);
  const symbols = run('nm', ['-D', addon]);
  assert.match(symbols, / U uv_poll_start$/m);
  assert.doesNotMatch(symbols, / [TtWw] uv_/);
});

test('it gives entries to Node and to its own copies alone, is bound at load, and is never unmapped', () => {
  const given = run('nm', ['-D', '--defined-only', addon]).trim().split('\n').map((line) => line.split(' ').pop());
  assert.deepStrictEqual(given.sort(), [
    'napi_register_module_v1', 'node_api_module_get_api_version_v1', 'virt_uv_node_load_2',
  ]);
  assert.match(run('readelf', ['-dW', addon]), /FLAGS_1.*NOW NODELETE/);
});

test('it uses Node-API alone: no symbol of C++ V8 or of Node inside', () => {
  const wanted = run('nm', ['-D', '--undefined-only', '--demangle', addon]);
  assert.match(wanted, / U napi_get_uv_event_loop$/m);
  assert.doesNotMatch(wanted, /v8::|node::/);
});

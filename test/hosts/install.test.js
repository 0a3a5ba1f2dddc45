// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The package that tools/node-package.sh makes: what is in it, and its installation without a compiler. It is made for
// x64 alone; tools/node-package-test.sh makes it for every processor.
'use strict';

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { execFileSync } = require('child_process');
const { after, before, test } = require('node:test');

const tree = path.join(__dirname, '..', '..');
const build = process.env.VIRT_UV_HOSTS_BUILD;
const module_ = (...names) => path.join(build, 'node_modules', ...names);
const repository = 'https://example.org/some/virt-uv';
const limit = { timeout: 1200000 };

const fits = process.arch === 'x64' && /^VERSION_ID="12"$/m.test(fs.readFileSync('/etc/os-release', 'utf8'));
const skip = !fits && 'the package is made on Debian 12, for x64';

const run = (command, args, options) => execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe', ...options });

let folder, tarball, unpacked;

before(() => {
  if (skip) return;
  folder = fs.mkdtempSync(path.join(build, 'install-'));
  tarball = run(path.join(tree, 'tools', 'node-package.sh'), [`${repository}.git`, folder, 'x64']).trim();
  run('tar', ['-xf', tarball, '-C', folder]);
  unpacked = path.join(folder, 'package');
}, limit);

after(() => folder && fs.rmSync(folder, { recursive: true, force: true }));

// A folder for a program of a user, whose PATH has Node, a shell, and nothing else.
function makeApp(name) {
  const app = path.join(folder, name);
  const bin = path.join(app, 'bin');
  fs.mkdirSync(bin, { recursive: true });
  fs.symlinkSync(process.execPath, path.join(bin, 'node'));
  fs.symlinkSync('/bin/sh', path.join(bin, 'sh'));
  fs.writeFileSync(path.join(app, 'package.json'), '{ "name": "app", "version": "1.0.0" }');
  fs.writeFileSync(
    path.join(app, 'main.js'),
    `const { attach, detach, version } = require('virt-uv'); attach(); detach().then(() => console.log(version));`,
  );
  return { cwd: app, env: { HOME: app, PATH: bin, LD_LIBRARY_PATH: process.env.LD_LIBRARY_PATH ?? '' } };
}

test('the package holds the addon, its words and its licence, and nothing to run or fetch', { skip }, () => {
  const files = fs.readdirSync(unpacked, { recursive: true }).map(String).sort();
  assert.deepStrictEqual(files, [
    'COPYING', 'NEWS.md', 'README.md', 'addon.js', 'index.d.ts', 'index.js', 'linux-x64', 'linux-x64/virt_uv.node',
    'package.json', 'records.d.ts', 'watch_options.js', 'watcher.js',
  ]);
  const description = JSON.parse(fs.readFileSync(path.join(unpacked, 'package.json'), 'utf8'));
  for (const field of ['scripts', 'dependencies', 'optionalDependencies', 'gypfile'])
    assert.ok(!(field in description), field);
  assert.strictEqual(description.version, require('virt-uv').version);
  assert.strictEqual(description.repository.url, `git+${repository}.git`);
  assert.strictEqual(description.bugs.url, `${repository}/issues`);
});

test('each link of its pages leads to a file in it, or to the web', { skip }, () => {
  for (const page of ['README.md', 'NEWS.md']) {
    const text = fs.readFileSync(path.join(unpacked, page), 'utf8');
    for (const [, target] of text.matchAll(/\]\(([^)]+)\)/g))
      assert.ok(/^https:/.test(target) || fs.existsSync(path.join(unpacked, target)), `${page}: ${target}`);
  }
});

test('its addon wants no newer glibc than that of Debian 12', { skip }, () => {
  const symbols = run('nm', ['-D', path.join(unpacked, 'linux-x64', 'virt_uv.node')]);
  const minors = [...symbols.matchAll(/@GLIBC_2\.(\d+)/g)].map((match) => Number(match[1]));
  assert.ok(minors.length > 0 && Math.max(...minors) <= 36, symbols);
});

// npm of this version, fetched once.
function npmProgram(version) {
  const npm = path.join(build, `npm-${version}`);
  if (!fs.existsSync(npm)) {
    const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', '--silent', `npm@${version}`], { cwd: folder }));
    const unpack = fs.mkdtempSync(path.join(folder, 'npm-'));
    run('tar', ['-xf', path.join(folder, filename), '-C', unpack]);
    fs.renameSync(path.join(unpack, 'package'), npm);
  }
  return path.join(npm, 'bin', 'npm-cli.js');
}

// The first is Debian 12's. npm 12 runs no install scripts.
for (const [version, oldest] of Object.entries({ '9.2.0': 16, '11.21.2': 20, '12.2.2': 22 })) {
  const old = parseInt(process.versions.node, 10) < oldest && `it needs Node ${oldest}`;
  const name = `npm ${version}`;
  test(`${name} installs it without a compiler or the network, and it works`, { skip: skip || old, ...limit }, () => {
    const options = makeApp(name);
    const npm = npmProgram(version);
    const output = run(process.execPath, [npm, 'install', '--offline', '--no-audit', '--no-fund', tarball], options);
    assert.match(output, /^\s*added 1 package in \S+\s*$/);
    assert.strictEqual(run(process.execPath, ['main.js'], options), `${require('virt-uv').version}\n`);
  });
}

test('esbuild finds the addon, and the bundle runs without the package', { skip, ...limit }, () => {
  const options = makeApp('bundle');
  fs.cpSync(unpacked, path.join(options.cwd, 'node_modules', 'virt-uv'), { recursive: true });
  const out = path.join(options.cwd, 'out');
  require(module_('esbuild')).buildSync({
    absWorkingDir: options.cwd, entryPoints: ['main.js'], bundle: true, platform: 'node', outdir: out,
    loader: { '.node': 'copy' }, logLevel: 'error',
  });
  fs.rmSync(path.join(options.cwd, 'node_modules'), { recursive: true });
  assert.strictEqual(fs.readdirSync(out).filter((file) => file.endsWith('.node')).length, 1);
  assert.strictEqual(run(process.execPath, [path.join(out, 'main.js')], options), `${require('virt-uv').version}\n`);
});

// Runs `require('virt-uv')` where `change` was done to the package, and returns what it throws.
function refusal(name, change) {
  const options = makeApp(name);
  const package_ = path.join(options.cwd, 'node_modules', 'virt-uv');
  fs.cpSync(unpacked, package_, { recursive: true });
  change(package_);
  const main = `try { require('virt-uv'); } catch ({ code, message }) { console.log(code, message); }`;
  return run(process.execPath, ['-e', main], options);
}

test('without an addon for the machine, the error says how to build it', { skip }, () => {
  const message = refusal('other', (package_) => fs.rmSync(path.join(package_, 'linux-x64'), { recursive: true }));
  assert.match(message, /^ENOTSUP virt-uv: there is no addon for linux-x64 here; to build it, .*meson setup/);
});

test('with an addon that cannot be loaded, the error says why, and how to build it', { skip }, () => {
  const message = refusal('broken', (package_) =>
    fs.writeFileSync(path.join(package_, 'linux-x64', 'virt_uv.node'), 'no library'));
  assert.match(message, /^ENOTSUP virt-uv: the addon cannot be loaded: .*virt_uv\.node: .*; to build it, .*meson/);
});

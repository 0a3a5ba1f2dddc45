// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The dashboard in a real browser: a click asks libvirt, and the page follows libvirt's events without a reload.
'use strict';

const assert = require('assert');
const http = require('http');
const path = require('path');
const { spawnSync } = require('child_process');
const { after, before, test } = require('node:test');
const koffi = require('koffi');
const { Dashboard } = require('../../doc/examples/node-dashboard/server.js');
const { Connection } = require('./binding.js');
const { Browser } = require('./browser.js');
const { Libvirtd } = require('./libvirtd.js');

const bounded = { timeout: 120000 };
const LOCAL = 'test:///default';
let browser, dashboard, libvirtd, page, url;

before(async () => {
  libvirtd = await Libvirtd.start();
  dashboard = new Dashboard([LOCAL, libvirtd.uri]);
  url = await dashboard.start(0);
  browser = await Browser.start();
  page = await browser.newPage();
  await page.goto(url);
  await page.evaluate(() => (window.loadedOnce = true));
}, bounded);

after(async () => {
  await browser?.stop();
  await dashboard?.stop();
  await libvirtd?.stop();
}, bounded);

const rowOf = (uri, state) =>
  `section[data-uri="${uri}"] tr[data-domain="test"]${state ? `[data-state="${state}"]` : ''}`;
const shown = (uri, state) => page.waitForSelector(rowOf(uri, state), { timeout: 30000 });
async function click(uri, action) {
  const possible = `${rowOf(uri)} button[data-action="${action}"][aria-disabled="false"]`;
  const button = await page.waitForSelector(possible, { timeout: 30000 });
  await button.click();
}

// The dashboard has no button for it.
function destroy(uri) {
  const library = koffi.load('libvirt.so.0');
  const conn = library.func('void *virConnectOpen(const char *uri)')(uri);
  const domain = library.func('void *virDomainLookupByName(void *conn, const char *name)')(conn, 'test');
  library.func('int virDomainDestroy(void *domain)')(domain);
  library.func('int virDomainFree(void *domain)')(domain);
  library.func('int virConnectClose(void *conn)')(conn);
}

test('both connections are listed with their domain running', bounded, async () => {
  for (const uri of [LOCAL, libvirtd.uri]) await shown(uri, 'running');
});

test('a click suspends, and the row changes by event; another one resumes', bounded, async () => {
  for (const uri of [LOCAL, libvirtd.uri]) {
    await click(uri, 'suspend');
    await shown(uri, 'paused');
    await click(uri, 'resume');
    await shown(uri, 'running');
  }
});

test('a domain that was destroyed can be started', bounded, async () => {
  destroy(LOCAL);
  await shown(LOCAL, 'shut off');
  await click(LOCAL, 'start');
  await shown(LOCAL, 'running');
});

test('what somebody else does is shown too', bounded, async () => {
  const other = await Connection.open(libvirtd.uri);
  await other.suspend('test');
  await shown(libvirtd.uri, 'paused');
  await other.resume('test');
  await shown(libvirtd.uri, 'running');
  await other.close();
});

test('the button does what the state allows, and keeps the focus', bounded, async () => {
  const focused = () => page.evaluate(() => document.activeElement.dataset.action);
  await page.focus(`${rowOf(LOCAL)} button`);
  assert.strictEqual(await focused(), 'suspend');
  await page.keyboard.press('Enter');
  await shown(LOCAL, 'paused');
  assert.strictEqual(await focused(), 'resume');
  await page.waitForSelector(`${rowOf(LOCAL)} button[aria-disabled="false"]`, { timeout: 30000 });
  await page.keyboard.press('Space');
  await shown(LOCAL, 'running');
  assert.strictEqual(await focused(), 'suspend');
});

test('what libvirt refuses is told', bounded, async () => {
  const ask = (query) =>
    page.evaluate(async (q) => {
      const r = await fetch(`/act?${q}`, { method: 'POST', headers });
      return [r.status, await r.text()];
    }, query);
  const [status, text] = await ask(new URLSearchParams({ uri: LOCAL, action: 'start', name: 'test' }).toString());
  assert.strictEqual(status, 409);
  assert.match(text, /already running/);
  assert.strictEqual((await ask('uri=nowhere&action=start&name=test'))[0], 400);
  const close = new URLSearchParams({ uri: LOCAL, action: 'close', name: 'test' }).toString();
  assert.strictEqual((await ask(close))[0], 400);
});

// As another site has the browser ask, or a program that is no browser.
function request(method, path, headers) {
  return new Promise((resolve, reject) => {
    const { port } = new URL(url);
    const sent = http.request({ host: '127.0.0.1', port, method, path, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    sent.on('error', reject).end();
  });
}

test('other sites are refused, and change nothing', bounded, async () => {
  const { host } = new URL(url);
  const suspend = `/act?${new URLSearchParams({ uri: LOCAL, action: 'suspend', name: 'test' })}`;
  const token = await page.$eval('meta[name=token]', (meta) => meta.content);
  const evil = 'evil.example';
  assert.strictEqual(await request('POST', suspend, { host: evil, origin: `http://${evil}`, 'x-token': token }), 403);
  assert.strictEqual(await request('POST', suspend, { host, origin: `http://${evil}`, 'x-token': token }), 403);
  assert.strictEqual(await request('POST', suspend, { host, origin: `http://${host}` }), 403);
  assert.strictEqual(await request('POST', suspend, { host, 'x-token': 'TOKEN' }), 403);
  assert.strictEqual(await request('GET', '/', { host: evil }), 403);
  assert.strictEqual(await request('GET', '/events', { host, origin: `http://${evil}` }), 403);
  await shown(LOCAL, 'running');
  assert.strictEqual(await request('POST', suspend, { host, 'x-token': token }), 204);
  await shown(LOCAL, 'paused');
  await click(LOCAL, 'resume');
  await shown(LOCAL, 'running');
});

test('a connection that dies is shown, and the other one goes on', bounded, async () => {
  await libvirtd.kill();
  await page.waitForFunction(
    (uri) => document.querySelector(`section[data-uri="${uri}"]`).querySelectorAll('tbody tr').length === 0,
    { timeout: 30000 },
    libvirtd.uri,
  );
  const told = await page.$eval(`section[data-uri="${libvirtd.uri}"] .status`, (status) => status.textContent);
  assert.match(told, /^(lost|cannot be opened): .+; trying again in [0-9.]+ s$/);
  await click(LOCAL, 'suspend');
  await shown(LOCAL, 'paused');
  await click(LOCAL, 'resume');
  await shown(LOCAL, 'running');
});

test('all of it without a reload', bounded, async () => {
  assert.strictEqual(await page.evaluate(() => window.loadedOnce), true);
});

test('a server that has gone is told, and so is its return', bounded, async () => {
  const told = (text) =>
    page.waitForFunction((expected) => document.getElementById('lost').textContent.includes(expected), bounded, text);
  const { port } = new URL(url);
  await dashboard.stop();
  await told('does not answer');
  dashboard = new Dashboard([LOCAL]);
  await dashboard.start(Number(port));
  await page.waitForFunction(() => document.getElementById('lost').textContent === '', bounded);
});

test('--help says how to start it, and a wrong option what is wrong', bounded, () => {
  const run = (...args) => {
    const server = path.join(__dirname, '../../doc/examples/node-dashboard/server.js');
    const { status, stdout, stderr } = spawnSync(process.execPath, [server, ...args], { encoding: 'utf8' });
    return { status, stdout, stderr };
  };
  const { status, stdout } = run('--help');
  assert.strictEqual(status, 0);
  assert.match(stdout, /^usage: node server.js \[--port N\] URI\.\.\.$/m);
  const refused = (stderr) => ({ status: 2, stdout: '', stderr: `${stderr}; --help says more\n` });
  assert.deepStrictEqual(run(), refused('which host? Give the URI of at least one'));
  assert.deepStrictEqual(run('--prot', '1', LOCAL), refused('there is no option --prot'));
  assert.deepStrictEqual(run(LOCAL, '--port', 'x'), refused('--port needs a number up to 65535'));
});

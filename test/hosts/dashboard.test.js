// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The dashboard in a real browser: a click asks libvirt, and the page follows libvirt's events without a reload.
// With VIRT_UV_SCREENSHOT=FILE in the environment, the page is saved there as it looks in the end.
'use strict';

const assert = require('assert');
const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const { after, before, test } = require('node:test');
const koffi = require('koffi');
const puppeteer = require('puppeteer-core');
const { Connection } = require('../../doc/examples/node-dashboard/libvirt.js');
const { Dashboard } = require('../../doc/examples/node-dashboard/server.js');
const { Libvirtd } = require('./libvirtd.js');

const bounded = { timeout: 120000 };
const LOCAL = 'test:///default';
let browser, dashboard, libvirtd, page, profile, url;

before(async () => {
  libvirtd = await Libvirtd.start();
  dashboard = new Dashboard([LOCAL, libvirtd.uri]);
  url = await dashboard.start(0);
  profile = fs.mkdtempSync(path.join(os.tmpdir(), 'virt-uv-chromium-'));
  browser = await puppeteer.launch({
    executablePath: '/usr/bin/chromium',
    headless: true,
    userDataDir: profile,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  page = await browser.newPage();
  await page.goto(url);
  await page.evaluate(() => (window.loadedOnce = true));
}, bounded);

after(async () => {
  await browser?.close();
  await dashboard?.stop();
  await libvirtd?.stop();
  if (profile) fs.rmSync(profile, { recursive: true, force: true });
}, bounded);

const rowOf = (uri, state) =>
  `section[data-uri="${uri}"] tr[data-domain="test"]${state ? `[data-state="${state}"]` : ''}`;
const shown = (uri, state) => page.waitForSelector(rowOf(uri, state), { timeout: 30000 });
async function click(uri, action) {
  const button = await page.waitForSelector(`${rowOf(uri)} button.${action}:not([disabled])`, { timeout: 30000 });
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
  const screenshot = process.env.VIRT_UV_SCREENSHOT;
  if (screenshot) await page.screenshot({ path: screenshot, clip: { x: 0, y: 0, width: 800, height: 300 } });
  await other.resume('test');
  await shown(libvirtd.uri, 'running');
  await other.close();
});

test('only what a state allows can be clicked', bounded, async () => {
  const enabled = await page.$$eval(`${rowOf(LOCAL)} button`, (buttons) =>
    buttons.filter((b) => !b.disabled).map((b) => b.textContent),
  );
  assert.deepStrictEqual(enabled, ['suspend']);
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
    (uri) => document.querySelector(`section[data-uri="${uri}"]`).querySelectorAll('tr').length === 0,
    { timeout: 30000 },
    libvirtd.uri,
  );
  const told = await page.$eval(`section[data-uri="${libvirtd.uri}"] small`, (status) => status.textContent);
  assert.match(told, /; trying again in [0-9]+ s$/);
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

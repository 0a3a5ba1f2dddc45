// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The dashboard's page with 1,000 domains on 20 hosts, and one host more that cannot be reached: all of one libvirtd,
// under 20 names of its socket, so that one change of a domain is 20 events. With VIRT_UV_SCREENSHOTS=FOLDER in the
// environment, the pictures of the example's README are saved there. How smooth it is, is printed.
'use strict';

const assert = require('assert');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { execFile } = require('child_process');
const { after, before, test } = require('node:test');
const { promisify } = require('util');
const virtUv = require('virt-uv');
const { Dashboard } = require('../../doc/examples/node-dashboard/server.js');
const { Browser } = require('./browser.js');
const { Libvirtd } = require('./libvirtd.js');
const { read } = require('./watching.js');

const bounded = { timeout: 120000 };
const HOSTS = 20;
const NAMES = ['build', 'db', 'mail', 'proxy', 'queue', 'search', 'web'].flatMap((role) =>
  Array.from({ length: 7 }, (_, i) => `${role}-${i + 1}`),
);
const ALL = HOSTS * (NAMES.length + 1); // and the domain `test`
const STORM = 1000; // changes
const VARIANTS = ['light', 'dark'].flatMap((scheme) => [['wide', 1180, 640], ['phone', 390, 844]].map(
  ([name, width, height]) => ({ scheme, name: `${name}-${scheme}`, size: { width, height } }),
));
let browser, dashboard, folder, libvirtd, page;

const uriOf = (host) => `test+unix:///default?socket=${folder}/${host}`;
const virsh = (commands) => promisify(execFile)('virsh', ['-q', '-c', libvirtd.uri, commands.join(';')]);

async function defineDomains() {
  const files = NAMES.map((name) => {
    const file = path.join(folder, `${name}.xml`);
    fs.writeFileSync(file, `<domain type='test'><name>${name}</name><memory>1024</memory>` +
      '<os><type>hvm</type></os></domain>');
    return file;
  });
  await virsh(files.map((file) => `define ${file}`));
  const running = NAMES.filter((name) => !name.startsWith('build'));
  await virsh(running.map((name) => `start ${name}`));
}

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'virt-uv-page-'));
  libvirtd = await Libvirtd.start();
  // The daemon's test driver forgets its domains with its last client.
  const client = virtUv.watch(libvirtd.uri);
  await read(client, 1);
  await defineDomains();
  const hosts = Array.from({ length: HOSTS }, (_, i) => `host-${i + 1}`);
  for (const host of hosts) fs.symlinkSync(libvirtd.uri.split('socket=')[1], path.join(folder, host));
  dashboard = new Dashboard(['no-host', ...hosts].map(uriOf));
  const url = await dashboard.start(0);
  browser = await Browser.start();
  page = await browser.newPage();
  await page.setViewport(VARIANTS[0].size);
  await page.goto(url);
  await untilRows('', ALL);
  await client.close();
}, bounded);

after(async () => {
  await browser?.stop();
  await dashboard?.stop();
  await libvirtd?.stop();
  fs.rmSync(folder, { recursive: true });
}, bounded);

const until = (condition, ...args) => page.waitForFunction(condition, { timeout: 30000 }, ...args);
const untilRows = (selector, count) =>
  until((of, expected) => document.querySelectorAll(of).length === expected, `tbody tr${selector}`, count);

test('1,000 domains of 20 hosts are listed, each with its state', bounded, async () => {
  await untilRows('[data-state="shut off"]', HOSTS * 7);
  assert.strictEqual(await page.$eval('#count', (count) => count.textContent), `${ALL} domains, ${HOSTS + 1} hosts`);
});

test('a host that cannot be reached is told in libvirt\'s words', bounded, async () => {
  await until(() => /^cannot be opened: .+; trying again in/.test(document.querySelector('.status').textContent));
});

test('a row is changed once a frame, however many messages came', bounded, async () => {
  const changes = await page.evaluate(async () => {
    const line = document.querySelector('tbody tr[data-state="running"]');
    const [uri, name] = [line.closest('section').dataset.uri, line.dataset.domain];
    let changes = 0;
    const observer = new MutationObserver((records) => (changes += records.length));
    observer.observe(line, { attributeFilter: ['data-state'] });
    for (let i = 0; i < 101; ++i)
      merge({ hosts: [], events: [], domains: [[uri, name, i % 2 ? 'running' : 'paused']] });
    await new Promise((done) => requestAnimationFrame(done));
    const seen = [changes, line.dataset.state];
    observer.disconnect();
    merge({ hosts: [], events: [], domains: [[uri, name, 'running']] });
    return seen;
  });
  assert.deepStrictEqual(changes, [1, 'paused']);
});

// The frames that the browser draws, and its tasks of 50 ms and more.
function watchFrames() {
  const figures = { frames: 0, longestMs: 0, over50: 0, longTasks: [], first: performance.now() };
  let last = performance.now();
  const observer = new PerformanceObserver((list) =>
    figures.longTasks.push(...list.getEntries().map(({ duration }) => Math.round(duration))));
  observer.observe({ type: 'longtask' });
  const frame = (now) => {
    if (figures.frames++ > 0) {
      figures.longestMs = Math.max(figures.longestMs, now - last);
      if (now - last > 50) ++figures.over50;
    }
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  window.figures = figures;
  window.rowsAtFirst = [...document.querySelectorAll('tbody tr')];
}

test('a storm of events changes the rows in place, and all arrive', bounded, async (t) => {
  await page.evaluate(watchFrames);
  const names = NAMES.filter((name) => !name.startsWith('build')).slice(0, 20);
  const rounds = STORM / names.length / 2;
  const round = [...names.map((name) => `suspend ${name}`), ...names.map((name) => `resume ${name}`)];
  const started = process.hrtime.bigint();
  await virsh([...Array.from({ length: rounds }, () => round).flat(), `suspend ${names[0]}`, `destroy ${names[1]}`]);
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  await untilRows('[data-state="paused"]', HOSTS);
  await untilRows('[data-state="shut off"]', HOSTS * 8);
  await untilRows('[data-state="running"]', ALL - HOSTS * 9);
  const { figures, same, events } = await page.evaluate(() => ({
    figures: window.figures,
    same: window.rowsAtFirst.filter((row) => row.isConnected).length,
    events: document.querySelectorAll('#events li').length,
  }));
  assert.strictEqual(same, ALL);
  assert.strictEqual(events, 100);
  t.diagnostic(`${HOSTS * (STORM + 2)} events in ${seconds.toFixed(1)} s: ${figures.frames} frames, the longest ` +
    `${figures.longestMs.toFixed(0)} ms, ${figures.over50} above 50 ms; long tasks: ${figures.longTasks} ms`);
});

test('the filter narrows the domains and the events, word by word', bounded, async () => {
  await page.type('#filter', 'host-7 paused');
  await untilRows(':not([hidden])', 1);
  const seen = await page.$$eval('main > section:not([hidden])', (sections) => sections.map((s) => s.dataset.uri));
  assert.deepStrictEqual(seen, [uriOf('host-7')]);
  assert.match(await page.$eval('#count', (count) => count.textContent), /^1 of 1000 domains/);
  const events = await page.$$eval('#events li:not([hidden])', (lines) => lines.map((line) => line.textContent));
  assert.ok(events.length > 0 && events.every((line) => /host-7$/.test(line) && /paused/i.test(line)), events.join());
  await page.click('#filter', { clickCount: 3 });
  await page.keyboard.press('Backspace');
  await untilRows(':not([hidden])', ALL);
});

test('Tab goes from the filter to the events and the first button', bounded, async () => {
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.ariaLabel);
  await page.focus('#filter');
  await page.keyboard.press('Tab');
  assert.strictEqual(await focused(), 'events');
  await page.keyboard.press('Tab');
  assert.strictEqual(await focused(), `start build-1 on ${uriOf('host-1')}`);
});

for (const { scheme, name, size } of VARIANTS) {
  test(`axe finds nothing, and nothing is cut off: ${name}`, bounded, async () => {
    await page.setViewport(size);
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.evaluate(() => window.scrollTo(0, 0));
    const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.strictEqual(back === 'rgb(255, 255, 255)', scheme === 'light');
    const folderOfPictures = process.env.VIRT_UV_SCREENSHOTS;
    if (folderOfPictures) await page.screenshot({ path: path.join(folderOfPictures, `node-dashboard-${name}.png`) });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
    await page.evaluate(fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
    const found = await page.evaluate(async () => (await axe.run()).violations.map(({ id, impact, nodes }) =>
      `${impact}: ${id}: ${nodes.length}, the first ${nodes[0].html}`));
    assert.deepStrictEqual(found, []);
  });
}

// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A page that lists the domains of any number of libvirt connections and follows them live. One process, one loop:
// libvirt's events, HTTP, and the stream of server-sent events to each browser.
//
//     (cd ../../.. && meson setup build -Dnode=enabled && ninja -C build)
//     npm install && node server.js [--port N] URI...      # test:///default will do for a first look
//
// The page shows what libvirt reports: a button calls libvirt, and the row changes when the event comes, also for
// changes that were made elsewhere. A connection that is lost is shown as lost, with the reason, and opened again.
//
// A program that can reach the page can suspend domains. So it is on the loopback address only, and answers nothing
// that another site has the browser ask: neither under another name for this address (Host), nor from a page of another
// server (Origin); and an action needs the token that is in the page.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const path = require('path');
const virtUv = require('virt-uv');
const { Connection } = require('./libvirt.js');

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60000;
// virConnectCloseReason, in virsh's words.
const REASONS = ['I/O error', 'end of file', 'keepalive timeout', 'closed by the client'];
const ACTIONS = new Set(['start', 'suspend', 'resume']);
const KEEP_ALIVE = { interval: 5, count: 3 };

/** One URI: its state as the page shows it, updated by events. `changed` is called after each change. */
class Host {
  domains = [];
  status = 'connecting';
  #connection = null;
  #connecting = null;
  #retry = null;
  #stopped = false;
  #pause = FIRST_PAUSE_MS;

  constructor(uri, changed) {
    this.uri = uri;
    this.changed = changed;
  }

  get view() {
    return { uri: this.uri, status: this.status, domains: this.domains };
  }

  connect() {
    this.#connecting = this.#open();
  }

  async #open() {
    try {
      this.#connection = await Connection.open(this.uri, { keepAlive: KEEP_ALIVE });
      this.#connection.on('lifecycle', () => this.#refresh());
      this.#connection.on('closed', (reason) => this.#lost(REASONS[reason] ?? String(reason)));
      this.status = 'connected';
      this.#pause = FIRST_PAUSE_MS;
      await this.#refresh();
    } catch (error) {
      this.#retryLater(error.message);
    }
  }

  /** Calls libvirt. The page changes when the event comes. */
  async act(action, name) {
    if (!this.#connection) throw new Error(`${this.uri} is not connected`);
    await this.#connection[action](name);
  }

  async stop() {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.#connecting;
    const connection = this.#connection;
    this.#connection = null;
    await connection?.close();
  }

  async #refresh() {
    try {
      this.#show(this.status, (await this.#connection?.domains()) ?? []);
    } catch {
      // The connection is lost: 'closed' is emitted for it, or was.
    }
  }

  async #lost(reason) {
    const connection = this.#connection;
    this.#connection = null;
    this.#retryLater(`connection lost: ${reason}`);
    await connection?.close();
  }

  #show(status, domains) {
    this.status = status;
    this.domains = domains;
    this.changed(this);
  }

  #retryLater(why) {
    this.#show(`${why}; trying again in ${this.#pause / 1000} s`, []);
    if (!this.#stopped) this.#retry = setTimeout(() => this.connect(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MS);
  }
}

class Dashboard {
  #browsers = new Set();
  #token = crypto.randomBytes(16).toString('hex');
  #page = fs.readFileSync(path.join(__dirname, 'index.html'), 'utf8').replace('TOKEN', this.#token);

  constructor(uris) {
    this.hosts = uris.map((uri) => new Host(uri, (host) => this.#publish(host)));
    this.server = http.createServer((request, response) => this.#serve(request, response));
  }

  async start(port) {
    virtUv.attach({ slowCallbackMs: 50 });
    await new Promise((resolve, reject) => this.server.once('error', reject).listen(port, '127.0.0.1', resolve));
    this.hosts.forEach((host) => host.connect());
    return `http://127.0.0.1:${this.server.address().port}/`;
  }

  async stop() {
    for (const browser of this.#browsers) browser.end();
    this.server.close();
    await Promise.all(this.hosts.map((host) => host.stop()));
    await virtUv.drain();
    await virtUv.detach();
  }

  #publish(host) {
    for (const browser of this.#browsers) this.#send(browser, host);
  }

  #send(browser, host) {
    browser.write(`id: ${this.hosts.indexOf(host)}\ndata: ${JSON.stringify(host.view)}\n\n`);
  }

  // A browser sends Origin with each POST; a name that another site has pointed here is in Host.
  #isFromThePage({ headers: { host, origin } }) {
    const { port } = this.server.address();
    return [`127.0.0.1:${port}`, `localhost:${port}`].includes(host) && [undefined, `http://${host}`].includes(origin);
  }

  #serve(request, response) {
    if (!this.#isFromThePage(request)) return response.writeHead(403).end('not for other sites\n');
    const url = new URL(request.url, 'http://localhost');
    if (request.method === 'GET' && url.pathname === '/') return this.#servePage(response);
    if (request.method === 'GET' && url.pathname === '/events') return this.#stream(response);
    if (request.method === 'POST' && url.pathname === '/act') return this.#act(request, url.searchParams, response);
    response.writeHead(404).end('not found\n');
  }

  #servePage(response) {
    const headers = { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': "frame-ancestors 'none'" };
    response.writeHead(200, headers).end(this.#page);
  }

  #stream(response) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    this.#browsers.add(response);
    response.on('close', () => this.#browsers.delete(response));
    for (const host of this.hosts) this.#send(response, host);
  }

  async #act(request, parameters, response) {
    if (request.headers['x-token'] !== this.#token) return response.writeHead(403).end('reload the page\n');
    const host = this.hosts.find(({ uri }) => uri === parameters.get('uri'));
    const action = parameters.get('action');
    if (!host || !ACTIONS.has(action)) return response.writeHead(400).end('no such connection or action\n');
    try {
      await host.act(action, parameters.get('name'));
      response.writeHead(204).end();
    } catch (error) {
      response.writeHead(409).end(`${error.message}\n`);
    }
  }
}

async function main(args) {
  const port = args[0] === '--port' ? Number(args.splice(0, 2)[1]) : 8080;
  if (args.length === 0 || !Number.isInteger(port)) {
    console.error('usage: node server.js [--port N] URI...');
    process.exit(2);
  }
  const dashboard = new Dashboard(args);
  console.log(await dashboard.start(port));
  process.once('SIGINT', () => dashboard.stop());
  process.once('SIGTERM', () => dashboard.stop());
}

if (require.main === module) main(process.argv.slice(2));

module.exports = { Dashboard };

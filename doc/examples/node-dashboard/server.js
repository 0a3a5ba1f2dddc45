// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A page that lists the domains of any number of libvirt hosts and their latest events, live. One process, one loop:
// libvirt's events, HTTP, and the stream of server-sent events to each browser. README.md says how to start it.
//
// The page shows what libvirt reports: a button calls libvirt, and the row changes when the event comes, also for
// changes that were made elsewhere. watch() opens the connections, and opens those again that are lost; the page shows
// its words.
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
const { Controls } = require('./controls.js');
const { Feed } = require('./feed.js');
const { Host } = require('./hosts.js');

const ACTIONS = new Set(['start', 'suspend', 'resume']);
const KEEP_ALIVE = { interval: 5, count: 3 };
const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'";

const HELP = `Shows the domains of libvirt hosts and their latest events on a page, live.

usage: node server.js [--port N] URI...

  URI        a libvirt host: test:///default (for a first look), qemu:///system, qemu+ssh://root@host/system
  --port N   the port on 127.0.0.1 (8080); 0: any that is free
  --help     this text

The address of the page is printed. Ctrl-C ends the server.
`;

class Dashboard {
  #hosts = new Map(); // by URI
  #controls = new Map();
  #feed = new Feed(this.#hosts);
  #watcher;
  #server = http.createServer((request, response) => this.#serve(request, response));
  #token = crypto.randomBytes(16).toString('hex');

  constructor(uris) {
    for (const uri of uris) {
      this.#hosts.set(uri, new Host(uri, (host, name) => this.#feed.change(host, name)));
      this.#controls.set(uri, new Controls(uri));
    }
  }

  /** Returns the address of the page. */
  async start(port) {
    await new Promise((resolve, reject) => this.#server.once('error', reject).listen(port, '127.0.0.1', resolve));
    virtUv.attach({ slowCallbackMs: 50 }); // for the connections of the actions too
    this.#watcher = virtUv.watch([...this.#hosts.keys()], { state: true, keepalive: KEEP_ALIVE });
    for (const name of ['event', 'connection']) this.#watcher.on(name, (record) => this.#hear(record));
    for (const name of ['warning', 'error']) this.#watcher.on(name, (error) => this.#warn(error));
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  async stop() {
    this.#feed.close();
    this.#server.close();
    this.#server.closeAllConnections(); // Node 18 would serve what still comes on those that are idle
    await this.#watcher.close();
    await Promise.all([...this.#controls.values()].map((controls) => controls.close()));
    await virtUv.drain();
    await virtUv.detach();
  }

  #hear(record) {
    this.#hosts.get(record.uri)?.apply(record);
    if (record.state === 'lost') this.#controls.get(record.uri)?.close();
    if (record.event !== 'state') this.#feed.add(record);
  }

  #warn({ uri, message }) {
    this.#hosts.get(uri)?.warn(message.replace('virt-uv: ', '').replace(`${uri}: `, ''));
  }

  // A browser sends Origin with each POST; a name that another site has pointed here is in Host.
  #isFromThePage({ headers: { host, origin } }) {
    const { port } = this.#server.address();
    return [`127.0.0.1:${port}`, `localhost:${port}`].includes(host) && [undefined, `http://${host}`].includes(origin);
  }

  #serve(request, response) {
    if (!this.#isFromThePage(request)) return response.writeHead(403).end('not for other sites\n');
    const url = new URL(request.url, 'http://localhost');
    if (request.method === 'GET' && FILES[url.pathname]) return this.#serveFile(url.pathname, response);
    if (request.method === 'GET' && url.pathname === '/events') return this.#feed.open(response);
    if (request.method === 'POST' && url.pathname === '/act') return this.#act(request, url.searchParams, response);
    response.writeHead(404).end('not found\n');
  }

  #serveFile(pathname, response) {
    const [file, type] = FILES[pathname];
    const text = fs.readFileSync(path.join(__dirname, file), 'utf8');
    const headers = { 'Content-Type': type, 'Cache-Control': 'no-store', 'Content-Security-Policy': POLICY };
    response.writeHead(200, headers).end(pathname === '/' ? text.replace('TOKEN', this.#token) : text);
  }

  async #act(request, parameters, response) {
    if (request.headers['x-token'] !== this.#token) return response.writeHead(403).end('reload the page\n');
    const host = this.#hosts.get(parameters.get('uri'));
    const action = parameters.get('action');
    if (!host || !ACTIONS.has(action)) return response.writeHead(400).end('no such connection or action\n');
    if (!host.isConnected) return response.writeHead(409).end(`${host.uri} is not connected\n`);
    try {
      await this.#controls.get(host.uri).act(action, parameters.get('name'));
      response.writeHead(204).end();
    } catch (error) {
      response.writeHead(409).end(`${error.message}\n`);
    }
  }
}

// { uris, port }, or what is wrong.
function readArguments(args) {
  const uris = [];
  let port = 8080;
  for (const words = [...args]; words.length > 0; ) {
    const word = words.shift();
    if (word === '--port') port = Number(words.shift());
    else if (word.startsWith('-')) return `there is no option ${word}`;
    else uris.push(word);
  }
  if (!Number.isInteger(port) || port < 0 || port > 65535) return '--port needs a number up to 65535';
  return uris.length > 0 ? { uris, port } : 'which host? Give the URI of at least one';
}

async function main(args) {
  if (args.includes('--help')) return process.stdout.write(HELP);
  const settings = readArguments(args);
  if (typeof settings === 'string') {
    console.error(`${settings}; --help says more`);
    process.exitCode = 2;
    return;
  }
  const dashboard = new Dashboard(settings.uris);
  console.log(await dashboard.start(settings.port));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => dashboard.stop());
}

if (require.main === module) main(process.argv.slice(2));

module.exports = { Dashboard };

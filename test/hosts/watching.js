// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the tests of watch() share.
'use strict';

const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const { once } = require('events');

// The next `count` records of a watcher, or those until `isLast`.
async function read(watcher, countOrIsLast) {
  const isLast = typeof countOrIsLast === 'function' ? countOrIsLast : () => records.length === countOrIsLast;
  const iterator = watcher[Symbol.asyncIterator]();
  const records = [];
  do {
    const { done, value } = await iterator.next();
    if (done) throw new Error(`the watcher has ended after ${JSON.stringify(records)}`);
    records.push(value);
  } while (!isLast(records[records.length - 1]));
  return records;
}

// In short: "lifecycle test Suspended", "connection opened".
const word = ({ event, domain, type, state }) => [event, domain, type, state].filter(Boolean).join(' ');

// A host that takes connections and says nothing, until it passes them on to a real one.
class SilentHost {
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'virt-uv-silent-'));
  #clients = new Set();
  #server = net.createServer((client) => {
    this.#clients.add(client);
    client.on('error', () => {}).on('close', () => this.#clients.delete(client));
    client.pause();
  });

  async start() {
    const socket = path.join(this.#folder, 'socket');
    this.#server.listen(socket);
    await once(this.#server, 'listening');
    this.uri = `test+unix:///default?socket=${socket}`;
    return this;
  }

  async connected() {
    if (this.#clients.size === 0) await once(this.#server, 'connection');
  }

  /** Fulfilled when each client has closed its end. */
  async passOnTo(socket) {
    const gone = [...this.#clients].map((client) => once(client, 'close'));
    for (const client of this.#clients) client.pipe(net.connect(socket)).on('error', () => {}).pipe(client);
    await Promise.all(gone);
  }

  stop() {
    for (const client of this.#clients) client.destroy();
    this.#server.close();
    fs.rmSync(this.#folder, { recursive: true });
  }
}

module.exports = { read, word, SilentHost };

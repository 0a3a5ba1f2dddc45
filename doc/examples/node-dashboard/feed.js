// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the browsers are sent: first everything, then what has changed, as server-sent events. Changes are gathered for
// a moment, so that a thousand events are a few messages, with one state of each domain.
'use strict';

const GATHERED_MS = 50;
const EVENTS_KEPT = 100;
const MOST_UNSENT_BYTES = 4 << 20; // of one browser

class Feed {
  #hosts;
  #browsers = new Set();
  #events = []; // the latest, oldest first
  #changed = new Map(); // a host: the names of its domains
  #newEvents = [];
  #timer = null;

  /** The hosts by their URI. */
  constructor(hosts) {
    this.#hosts = hosts;
  }

  /** `name` undefined: the host itself. */
  change(host, name) {
    if (!this.#changed.has(host)) this.#changed.set(host, new Set());
    if (name !== undefined) this.#changed.get(host).add(name);
    this.#schedule();
  }

  add(record) {
    for (const list of [this.#events, this.#newEvents]) if (list.push(record) > EVENTS_KEPT) list.shift();
    this.#schedule();
  }

  /** `response` is sent everything now, and changes until it is closed. */
  open(response) {
    this.#publish(); // so that changes are not sent a second time
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    this.#browsers.add(response);
    response.on('close', () => this.#browsers.delete(response));
    const all = [...this.#hosts.values()].map((host) => [host, host.names]);
    this.#send(response, { isAll: true, ...this.#message(all, this.#events) });
  }

  close() {
    clearTimeout(this.#timer);
    for (const browser of this.#browsers) browser.end();
  }

  #schedule() {
    this.#timer ??= setTimeout(() => this.#publish(), GATHERED_MS);
  }

  #publish() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const message = this.#message([...this.#changed], this.#newEvents);
    this.#changed = new Map();
    this.#newEvents = [];
    for (const browser of this.#browsers) this.#send(browser, message);
  }

  #message(changed, events) {
    const domains = changed.flatMap(([host, names]) => [...names].map((name) => [host.uri, name, host.stateOf(name)]));
    return { hosts: changed.map(([host]) => host.view), domains, events };
  }

  // A browser that does not read is closed: it comes again, and is sent everything.
  #send(browser, message) {
    if (browser.writableLength > MOST_UNSENT_BYTES) browser.destroy();
    else browser.write(`data: ${JSON.stringify(message)}\n\n`);
  }
}

module.exports = { Feed };

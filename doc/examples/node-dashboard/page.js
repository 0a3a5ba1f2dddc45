// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A section for each host, a row for each domain, and the list of the latest events. The server sends everything first,
// then what has changed. Messages are merged, and shown once before each frame that the browser draws: a row has one
// change a frame, however many events there were. Rows and buttons stay the same elements, so that the focus stays.
//
// A button changes nothing by itself: it asks the server, and the row changes by libvirt's event.
'use strict';

const EVENTS_SHOWN = 100;
const ACTION_OF = { running: 'suspend', paused: 'resume', 'shut off': 'start', crashed: 'start' };
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const byName = new Intl.Collator('en', { numeric: true }).compare;
const at = (id) => document.getElementById(id);
const headers = { 'X-Token': document.querySelector('meta[name=token]').content };

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Each word of the filter is somewhere in the text.
let filter = [];
const isWanted = (text) => filter.every((word) => text.includes(word));

class Row {
  #stateCell = element('td', { className: 'state' });
  #button = element('button', { type: 'button', onclick: () => this.#act() });
  #action;
  #isAsking = false;

  constructor(uri, name) {
    Object.assign(this, { uri, name });
    this.line = element('tr', {},
      element('th', { scope: 'row', textContent: name }), this.#stateCell, element('td', {}, this.#button));
    this.line.dataset.domain = name;
  }

  show(state) {
    this.state = state;
    this.line.dataset.state = state;
    this.#stateCell.textContent = state;
    this.#action = ACTION_OF[state];
    this.#button.textContent = this.#action ?? '–';
    this.#button.dataset.action = this.#action ?? '';
    this.#button.setAttribute('aria-label', `${this.#action ?? 'no action for'} ${this.name} on ${this.uri}`);
    this.#showWhetherPossible();
    this.sift();
  }

  sift() {
    this.line.hidden = !isWanted(`${this.uri} ${this.name} ${this.state}`.toLowerCase());
  }

  // Not `disabled`, which would lose the focus.
  #showWhetherPossible() {
    this.#button.setAttribute('aria-disabled', this.#isAsking || !this.#action);
  }

  async #act() {
    if (this.#isAsking || !this.#action) return;
    this.#isAsking = true;
    this.#showWhetherPossible();
    at('error').textContent = await ask({ uri: this.uri, action: this.#action, name: this.name });
    this.#isAsking = false;
    this.#showWhetherPossible();
  }
}

// Returns what went wrong.
async function ask(parameters) {
  try {
    const response = await fetch('/act?' + new URLSearchParams(parameters), { method: 'POST', headers });
    return response.ok ? '' : `${parameters.action} ${parameters.name}: ${await response.text()}`;
  } catch {
    return 'The server does not answer.';
  }
}

class HostSection {
  rows = new Map(); // by the domain's name
  #status = element('p', { className: 'status' });
  #body = element('tbody');
  #table;

  constructor(uri, number) {
    const title = element('h2', { id: `host-${number}`, textContent: uri });
    const heads = ['domain', 'state', 'action'].map((text) => element('th', { scope: 'col', textContent: text }));
    this.uri = uri;
    this.#table = element('table', {}, element('thead', {}, element('tr', {}, ...heads)), this.#body);
    this.#table.setAttribute('aria-labelledby', title.id);
    this.section = element('section', {}, title, this.#status, this.#table);
    this.section.setAttribute('aria-labelledby', title.id);
    this.section.dataset.uri = uri;
  }

  show({ status, isConnected }) {
    this.#status.textContent = status;
    this.section.dataset.connected = isConnected;
  }

  /** `state` null: the domain is gone. */
  showDomain(name, state) {
    const row = this.rows.get(name);
    if (state === null) {
      row?.line.remove();
      this.rows.delete(name);
    } else if (row) {
      row.show(state);
    } else {
      this.#add(new Row(this.uri, name), state);
    }
  }

  // The names come in order, mostly: so its place is looked for from the end.
  #add(row, state) {
    let before = this.#body.lastElementChild;
    while (before && byName(before.dataset.domain, row.name) > 0) before = before.previousElementSibling;
    if (before) before.after(row.line);
    else this.#body.prepend(row.line);
    this.rows.set(row.name, row);
    row.show(state);
  }

  /** Returns the number of rows to be seen. */
  sift() {
    const seen = [...this.rows.values()].filter(({ line }) => !line.hidden).length;
    this.#table.hidden = seen === 0;
    this.section.hidden = seen === 0 && !isWanted(`${this.uri} ${this.#status.textContent}`.toLowerCase());
    return seen;
  }
}

const hosts = new Map(); // by URI
let hostsMade = 0;

function hostOf(uri) {
  if (!hosts.has(uri)) {
    hosts.set(uri, new HostSection(uri, ++hostsMade));
    at('hosts').append(hosts.get(uri).section);
  }
  return hosts.get(uri);
}

function removeHost(uri) {
  hosts.get(uri).section.remove();
  hosts.delete(uri);
}

const NOT_SAID = new Set(['time', 'uri', 'uuid', 'event']);

function eventLine(record) {
  const words = Object.entries(record)
    .filter(([name, value]) => !NOT_SAID.has(name) && ['string', 'number'].includes(typeof value))
    .map(([, value]) => value);
  const line = element('li', {},
    element('time', { dateTime: record.time, textContent: clock.format(new Date(record.time)) }),
    ` ${record.event} ${words.join(' ')}`, element('small', { textContent: record.uri ?? '' }));
  siftEvent(line);
  return line;
}

function siftEvent(line) {
  line.hidden = !isWanted(line.textContent.toLowerCase());
}

// What the next frame is to show.
let next = null;

function nextFrame() {
  if (!next) {
    next = { hosts: new Map(), domains: new Map(), events: [], isAll: false, isSifted: false };
    requestAnimationFrame(showFrame);
  }
  return next;
}

function merge(message) {
  const frame = nextFrame();
  if (message.isAll) Object.assign(frame, { hosts: new Map(), domains: new Map(), events: [], isAll: true });
  for (const host of message.hosts) frame.hosts.set(host.uri, host);
  for (const [uri, name, state] of message.domains) frame.domains.set(`${uri}\n${name}`, [uri, name, state ?? null]);
  frame.events = frame.events.concat(message.events).slice(-EVENTS_SHOWN);
}

// What has gone while the server did not answer.
function removeOthers(frame) {
  at('events').replaceChildren();
  for (const [uri, host] of hosts) {
    if (!frame.hosts.has(uri)) removeHost(uri);
    else for (const name of host.rows.keys()) if (!frame.domains.has(`${uri}\n${name}`)) host.showDomain(name, null);
  }
}

function showFrame() {
  const frame = next;
  next = null;
  if (frame.isAll) removeOthers(frame);
  for (const host of frame.hosts.values()) hostOf(host.uri).show(host);
  for (const [uri, name, state] of frame.domains.values()) hostOf(uri).showDomain(name, state);
  at('events').prepend(...frame.events.map(eventLine).reverse());
  while (at('events').children.length > EVENTS_SHOWN) at('events').lastElementChild.remove();
  if (frame.isSifted) siftAll();
  showCount();
}

function siftAll() {
  filter = at('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { rows } of hosts.values()) for (const row of rows.values()) row.sift();
  for (const line of at('events').children) siftEvent(line);
}

function showCount() {
  let all = 0, seen = 0;
  for (const host of hosts.values()) {
    all += host.rows.size;
    seen += host.sift();
  }
  const text = `${filter.length > 0 ? `${seen} of ` : ''}${all} domains, ${hosts.size} hosts`;
  if (at('count').textContent !== text) at('count').textContent = text;
}

at('filter').addEventListener('input', () => (nextFrame().isSifted = true));

const source = new EventSource('/events');
source.onopen = () => (at('lost').textContent = '');
source.onerror = () => (at('lost').textContent = 'The server does not answer. What is below may be out of date.');
source.onmessage = ({ data }) => merge(JSON.parse(data));

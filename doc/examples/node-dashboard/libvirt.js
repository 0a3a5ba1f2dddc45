// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The part of libvirt that the dashboard needs, called from JS through koffi.
//
// Calls that may block run in Node's thread pool (`.async`), so that they do not block the loop. virt-uv delivers
// events in the loop, as calls of two C callbacks that all connections share. `opaque` is the connection's number and
// not a pointer, so a late event does not reach freed memory: its number is not found.
'use strict';

const { EventEmitter } = require('events');
const { promisify } = require('util');
const koffi = require('koffi');

const libvirt = koffi.load('libvirt.so.0');
const libc = koffi.load('libc.so.6');

koffi.proto('int lifecycle_callback(void *conn, void *domain, int event, int detail, void *opaque)');
koffi.proto('void close_callback(void *conn, int reason, void *opaque)');
const VirError = koffi.struct({ code: 'int', domain: 'int', message: 'char *' });

const local = (prototype) => libvirt.func(prototype);
const blocking = (prototype) => promisify(libvirt.func(prototype).async);

const virDomainGetName = local('const char *virDomainGetName(void *domain)');
const virDomainFree = local('int virDomainFree(void *domain)');
const virConnGetLastError = local('void *virConnGetLastError(void *conn)');
const virConnectOpen = blocking('void *virConnectOpen(const char *uri)');
const virConnectClose = blocking('int virConnectClose(void *conn)');
const virConnectSetKeepAlive = blocking('int virConnectSetKeepAlive(void *conn, int interval, uint count)');
const virConnectRegisterCloseCallback = blocking(
  'int virConnectRegisterCloseCallback(void *conn, close_callback *cb, intptr_t opaque, void *freecb)',
);
const virConnectUnregisterCloseCallback = blocking(
  'int virConnectUnregisterCloseCallback(void *conn, close_callback *cb)',
);
const virConnectDomainEventRegisterAny = blocking(
  'int virConnectDomainEventRegisterAny(void *conn, void *domain, int event_id, lifecycle_callback *cb, ' +
    'intptr_t opaque, void *freecb)',
);
const virConnectDomainEventDeregisterAny = blocking(
  'int virConnectDomainEventDeregisterAny(void *conn, int callback_id)',
);
const virConnectListAllDomains = blocking('int virConnectListAllDomains(void *conn, _Out_ void **domains, uint flags)');
const virDomainGetState = blocking(
  'int virDomainGetState(void *domain, _Out_ int *state, _Out_ int *reason, uint flags)',
);
const virDomainLookupByName = blocking('void *virDomainLookupByName(void *conn, const char *name)');
const free = libc.func('void free(void *memory)');

const verbs = {
  start: blocking('int virDomainCreate(void *domain)'),
  suspend: blocking('int virDomainSuspend(void *domain)'),
  resume: blocking('int virDomainResume(void *domain)'),
};

const LIFECYCLE = 0; // VIR_DOMAIN_EVENT_ID_LIFECYCLE
const states = ['no state', 'running', 'blocked', 'paused', 'shutting down', 'shut off', 'crashed', 'pm suspended'];
const events = [
  'defined', 'undefined', 'started', 'suspended', 'resumed', 'stopped', 'shutdown', 'pm suspended', 'crashed',
];

const connections = new Map();
let lastNumber = 0;

const onLifecycle = koffi.register((_conn, domain, event, detail, opaque) => {
  const name = virDomainGetName(domain);
  connections.get(Number(opaque))?.emit('lifecycle', { name, event: events[event] ?? String(event), detail });
  return 0;
}, 'lifecycle_callback *');

const onClose = koffi.register((_conn, reason, opaque) => {
  connections.get(Number(opaque))?.emit('closed', reason);
}, 'close_callback *');

/** Emits 'lifecycle' { name, event, detail } and, when the connection is lost, 'closed' (a virConnectCloseReason). */
class Connection extends EventEmitter {
  #conn;
  #number;
  #callbackId = -1;
  #listensForClose = false;

  static async open(uri, { keepAlive } = {}) {
    const connection = new Connection();
    connection.uri = uri;
    connection.#conn = await virConnectOpen(uri);
    if (!connection.#conn) throw new Error(`virConnectOpen(${uri}) failed`);
    try {
      await connection.#listen();
    } catch (error) {
      await connection.close();
      throw error;
    }
    // A driver inside this process has no keepalive and needs none.
    if (keepAlive) await virConnectSetKeepAlive(connection.#conn, keepAlive.interval, keepAlive.count);
    return connection;
  }

  async #listen() {
    this.#number = ++lastNumber;
    connections.set(this.#number, this);
    const [conn, number] = [this.#conn, this.#number];
    this.#callbackId = await this.#call(
      virConnectDomainEventRegisterAny, conn, null, LIFECYCLE, onLifecycle, number, null,
    );
    await this.#call(virConnectRegisterCloseCallback, conn, onClose, number, null);
    this.#listensForClose = true;
  }

  async #call(call, ...args) {
    const result = await call(...args);
    if (result === null || result < 0) throw new Error(this.#lastError());
    return result;
  }

  #lastError() {
    const error = virConnGetLastError(this.#conn);
    return error ? koffi.decode(error, VirError).message : `${this.uri}: unknown error`;
  }

  /** [{ name, state }], by name. */
  async domains() {
    const out = [null];
    const count = await this.#call(virConnectListAllDomains, this.#conn, out, 0);
    const pointers = koffi.decode(out[0], 'void *', count);
    free(out[0]);
    const domains = await Promise.all(pointers.map((domain) => this.#describe(domain)));
    return domains.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async #describe(domain) {
    const state = [0];
    try {
      await this.#call(virDomainGetState, domain, state, [0], 0);
      return { name: virDomainGetName(domain), state: states[state[0]] ?? String(state[0]) };
    } finally {
      virDomainFree(domain);
    }
  }

  start(name) {
    return this.#act('start', name);
  }

  suspend(name) {
    return this.#act('suspend', name);
  }

  resume(name) {
    return this.#act('resume', name);
  }

  async #act(verb, name) {
    const domain = await this.#call(virDomainLookupByName, this.#conn, name);
    try {
      await this.#call(verbs[verb], domain);
    } finally {
      virDomainFree(domain);
    }
  }

  /** Also for a connection that was lost. The loop closes its socket afterwards. */
  async close() {
    connections.delete(this.#number);
    if (this.#callbackId >= 0) await virConnectDomainEventDeregisterAny(this.#conn, this.#callbackId);
    if (this.#listensForClose) await virConnectUnregisterCloseCallback(this.#conn, onClose);
    await virConnectClose(this.#conn);
  }
}

module.exports = { Connection };

// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The part of libvirt that the dashboard needs, called from JS through koffi.
//
// Calls that may block run in Node's thread pool (`.async`), so that they do not block the loop. virt-uv delivers
// events in the loop, as calls of two C callbacks that all connections share. `opaque` is the connection's number and
// not a pointer, so a late event does not reach freed memory: its number is not found.
'use strict';

const { EventEmitter, once } = require('events');
const path = require('path');
const { promisify } = require('util');
const { Worker } = require('worker_threads');
const koffi = require('koffi');

const libvirt = koffi.load('libvirt.so.0');
const libc = koffi.load('libc.so.6');

koffi.proto('int lifecycle_callback(void *conn, void *domain, int event, int detail, void *opaque)');
koffi.proto('void close_callback(void *conn, int reason, void *opaque)');
const VirError = koffi.struct('virError', {
  code: 'int', domain: 'int', message: 'char *', level: 'int', conn: 'void *', dom: 'void *',
  str1: 'char *', str2: 'char *', str3: 'char *', int1: 'int', int2: 'int', net: 'void *',
});

const local = (prototype) => libvirt.func(prototype);
const blocking = (prototype) => promisify(libvirt.func(prototype).async);

const virDomainGetName = local('const char *virDomainGetName(void *domain)');
const virDomainFree = local('int virDomainFree(void *domain)');
const virConnCopyLastError = local('int virConnCopyLastError(void *conn, virError *to)');
const virResetError = local('void virResetError(virError *error)');
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

// What a callback throws stays inside koffi, which then calls no callback until one of its own functions returns. So
// what a listener throws is thrown again in a microtask, where it is an uncaught exception.
function emit(number, ...event) {
  try {
    connections.get(Number(number))?.emit(...event);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

const onLifecycle = koffi.register((_conn, domain, event, detail, opaque) => {
  const name = virDomainGetName(domain);
  emit(opaque, 'lifecycle', { name, event: events[event] ?? String(event), detail });
  return 0;
}, 'lifecycle_callback *');

const onClose = koffi.register((_conn, reason, opaque) => emit(opaque, 'closed', reason), 'close_callback *');

async function openConnection(uri) {
  const worker = new Worker(path.join(__dirname, 'open.js'), { workerData: uri });
  const [{ conn, reason }] = await once(worker, 'message');
  if (!conn) throw new Error(reason);
  return conn;
}

/** Emits 'lifecycle' { name, event, detail } and, when the connection is lost, 'closed' (a virConnectCloseReason). */
class Connection extends EventEmitter {
  #conn;
  #number;
  #callbackId = -1;
  #listensForClose = false;

  static async open(uri, { keepAlive } = {}) {
    const connection = new Connection();
    connection.uri = uri;
    connection.#conn = await openConnection(uri);
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

  // libvirt keeps the error of the last call for the connection too. If two calls fail at the same time, it may be that
  // of the other.
  #lastError() {
    const error = koffi.alloc(VirError, 1);
    try {
      if (virConnCopyLastError(this.#conn, error) < 0) return `${this.uri}: unknown error`;
      return koffi.decode(error, VirError).message;
    } finally {
      virResetError(error);
      koffi.free(error);
    }
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

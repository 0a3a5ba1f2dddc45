// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A binding of libvirt as far as the tests of attach() need one: the dashboard's connection, and libvirt's callbacks.
//
// virt-uv delivers events in the loop, as calls of two C callbacks that all connections share. `opaque` is the
// connection's number and not a pointer, so a late event does not reach freed memory: its number is not found.
'use strict';

const { EventEmitter } = require('events');
const { promisify } = require('util');
const koffi = require('koffi');
const { Connection: Calls } = require('../../doc/examples/node-dashboard/libvirt.js');

const libvirt = koffi.load('libvirt.so.0');
const libc = koffi.load('libc.so.6');

koffi.proto('int lifecycle_callback(void *conn, void *domain, int event, int detail, void *opaque)');
koffi.proto('void close_callback(void *conn, int reason, void *opaque)');

const blocking = (prototype) => promisify(libvirt.func(prototype).async);

const virDomainGetName = libvirt.func('const char *virDomainGetName(void *domain)');
const virDomainFree = libvirt.func('int virDomainFree(void *domain)');
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
const free = libc.func('void free(void *memory)');

const LIFECYCLE = 0; // VIR_DOMAIN_EVENT_ID_LIFECYCLE
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

/** Emits 'lifecycle' { name, event, detail } and, when the connection is lost, 'closed' (a virConnectCloseReason). */
class Connection extends EventEmitter {
  #calls;
  #number;
  #callbackId = -1;
  #listensForClose = false;

  static async open(uri, options) {
    const connection = new Connection();
    connection.#calls = await Calls.open(uri, options);
    try {
      await connection.#listen();
    } catch (error) {
      await connection.close();
      throw error;
    }
    return connection;
  }

  async #listen() {
    this.#number = ++lastNumber;
    connections.set(this.#number, this);
    this.#callbackId = await this.#call(
      virConnectDomainEventRegisterAny, null, LIFECYCLE, onLifecycle, this.#number, null,
    );
    await this.#call(virConnectRegisterCloseCallback, onClose, this.#number, null);
    this.#listensForClose = true;
  }

  #call(call, ...args) {
    return this.#calls.call(call, this.#calls.pointer, ...args);
  }

  /** [{ name }] */
  async domains() {
    const out = [null];
    const count = await this.#call(virConnectListAllDomains, out, 0);
    const pointers = koffi.decode(out[0], 'void *', count);
    free(out[0]);
    return pointers.map((domain) => {
      const name = virDomainGetName(domain);
      virDomainFree(domain);
      return { name };
    });
  }

  suspend(name) {
    return this.#calls.suspend(name);
  }

  resume(name) {
    return this.#calls.resume(name);
  }

  /** Also for a connection that was lost. */
  async close() {
    connections.delete(this.#number);
    const { pointer } = this.#calls;
    if (this.#callbackId >= 0) await virConnectDomainEventDeregisterAny(pointer, this.#callbackId);
    if (this.#listensForClose) await virConnectUnregisterCloseCallback(pointer, onClose);
    await this.#calls.close();
  }
}

module.exports = { Connection };

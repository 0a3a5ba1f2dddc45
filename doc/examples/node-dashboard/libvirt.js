// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the dashboard asks of libvirt, called from JS through koffi: the actions. Events come from watch().
//
// Calls that may block run in Node's thread pool (`.async`), so that they do not block the loop.
'use strict';

const { once } = require('events');
const path = require('path');
const { promisify } = require('util');
const { Worker } = require('worker_threads');
const koffi = require('koffi');

const libvirt = koffi.load('libvirt.so.0');

const VirError = koffi.struct('virError', {
  code: 'int', domain: 'int', message: 'char *', level: 'int', conn: 'void *', dom: 'void *',
  str1: 'char *', str2: 'char *', str3: 'char *', int1: 'int', int2: 'int', net: 'void *',
});

const local = (prototype) => libvirt.func(prototype);
const blocking = (prototype) => promisify(libvirt.func(prototype).async);

const virDomainFree = local('int virDomainFree(void *domain)');
const virConnCopyLastError = local('int virConnCopyLastError(void *conn, virError *to)');
const virResetError = local('void virResetError(virError *error)');
const virConnectClose = blocking('int virConnectClose(void *conn)');
const virConnectSetKeepAlive = blocking('int virConnectSetKeepAlive(void *conn, int interval, uint count)');
const virDomainLookupByName = blocking('void *virDomainLookupByName(void *conn, const char *name)');

const verbs = {
  start: blocking('int virDomainCreate(void *domain)'),
  suspend: blocking('int virDomainSuspend(void *domain)'),
  resume: blocking('int virDomainResume(void *domain)'),
};

async function openConnection(uri) {
  const worker = new Worker(path.join(__dirname, 'open.js'), { workerData: uri });
  const [{ conn, reason }] = await once(worker, 'message');
  if (!conn) throw new Error(reason);
  return conn;
}

class Connection {
  static async open(uri, { keepAlive } = {}) {
    const connection = new Connection();
    connection.uri = uri;
    connection.pointer = await openConnection(uri);
    // A driver inside this process has no keepalive and needs none.
    if (keepAlive) await virConnectSetKeepAlive(connection.pointer, keepAlive.interval, keepAlive.count);
    return connection;
  }

  /** `call(...args)`; rejected with libvirt's error where it fails. */
  async call(call, ...args) {
    const result = await call(...args);
    if (result === null || result < 0) throw new Error(this.#lastError());
    return result;
  }

  // libvirt keeps the error of the last call for the connection too. If two calls fail at the same time, it may be that
  // of the other.
  #lastError() {
    const error = koffi.alloc(VirError, 1);
    try {
      if (virConnCopyLastError(this.pointer, error) < 0) return `${this.uri}: unknown error`;
      return koffi.decode(error, VirError).message;
    } finally {
      virResetError(error);
      koffi.free(error);
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
    const domain = await this.call(virDomainLookupByName, this.pointer, name);
    try {
      await this.call(verbs[verb], domain);
    } finally {
      virDomainFree(domain);
    }
  }

  /** Also for a connection that was lost. The loop closes its socket afterwards. */
  async close() {
    await virConnectClose(this.pointer);
  }
}

module.exports = { Connection };

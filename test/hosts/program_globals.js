// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a program of program.js, and each worker that it starts, finds as globals.
'use strict';

const fs = require('fs');
const path = require('path');
const { once } = require('events');
const { Worker } = require('worker_threads');
const koffi = require('koffi');
const { asSource } = require('./program.js');

const virtUv = require('virt-uv');
const { Connection } = require('./binding.js');

// Straight to the file descriptor: the order in which threads speak is then the order of the lines.
const say = (...words) => fs.writeSync(1, `${words.join(' ')}\n`);

const startWorker = (main, ...args) => new Worker(asSource(main, args), { eval: true });

// libvirt without a thread pool, and with a callback that is no JS.
const library = koffi.load('libvirt.so.0');
const counter = koffi.load(path.join(process.env.VIRT_UV_HOSTS_BUILD, 'libcount_events.so'));
const countEvent = counter.symbol('count_event');
koffi.proto('void timeout_callback(int timer, void *opaque)');
const addTimeout = library.func('int virEventAddTimeout(int ms, timeout_callback *cb, void *opaque, void *ff)');
const sync = {
  open: library.func('void *virConnectOpen(const char *uri)'),
  close: library.func('int virConnectClose(void *conn)'),
  lookup: library.func('void *virDomainLookupByName(void *conn, const char *name)'),
  free: library.func('int virDomainFree(void *domain)'),
  suspend: library.func('int virDomainSuspend(void *domain)'),
  resume: library.func('int virDomainResume(void *domain)'),
  listen: library.func(
    'int virConnectDomainEventRegisterAny(void *conn, void *domain, int event_id, void *cb, void *opaque, ' +
      'void *freecb)',
  ),
  ignore: library.func('int virConnectDomainEventDeregisterAny(void *conn, int callback_id)'),
  countEventsOf: (conn) => sync.listen(conn, null, 0, countEvent, null, null),
  addTimeout: (ms, callback) => addTimeout(ms, koffi.register(callback, 'timeout_callback *'), null, null),
  updateTimeout: library.func('void virEventUpdateTimeout(int timer, int ms)'),
  eventsCounted: counter.func('int events_counted()'),
};

// virt-uv, loaded once more in this thread: from the same files, or from another folder.
function reloadVirtUv() {
  const folder = path.dirname(require.resolve('virt-uv'));
  for (const file of Object.keys(require.cache)) if (path.dirname(file) === folder) delete require.cache[file];
  return require('virt-uv');
}
const secondVirtUv = () => require(process.env.VIRT_UV_SECOND_COPY);

const openFds = () => fs.readdirSync('/proc/self/fd').length;

Object.assign(globalThis, { virtUv, Connection, once, say, startWorker, sync, openFds, reloadVirtUv, secondVirtUv });

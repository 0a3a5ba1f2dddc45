// SPDX-License-Identifier: LGPL-2.1-or-later
//
// libvirt's events in this thread's event loop. index.d.ts has the contract of each function.
//
// Arguments are checked here; the addon does the rest.
'use strict';

const addon = require('./addon.js');
const { watchOptions } = require('./watch_options.js');
const { Watcher } = require('./watcher.js');

function invalid(message) {
  return Object.assign(new TypeError(`virt-uv: ${message}`), { code: 'EINVAL' });
}

function slowCallbackMs(options) {
  if (options === undefined) return 0;
  if (options === null || typeof options !== 'object') throw invalid('attach: options must be an object');
  const unknown = Object.keys(options).find((key) => key !== 'slowCallbackMs');
  if (unknown !== undefined) throw invalid(`attach: unknown option "${unknown}"; there is slowCallbackMs`);
  const { slowCallbackMs: ms = 0 } = options;
  if (!Number.isInteger(ms) || ms < 0 || ms > 0xffffffff)
    throw invalid(`attach: slowCallbackMs must be a whole number of milliseconds, 0 or more, and is ${String(ms)}`);
  return ms;
}

function attach(options) {
  addon.attach(slowCallbackMs(options));
}

function detach() {
  return new Promise((resolve) => addon.detach(resolve));
}

function drain() {
  return new Promise((resolve, reject) => addon.drain((error) => (error ? reject(error) : resolve())));
}

function ref() {
  addon.ref();
}

function unref() {
  addon.unref();
}

function onLog(listener) {
  if (listener !== null && typeof listener !== 'function')
    throw invalid('onLog: the listener must be a function or null');
  addon.onLog(listener);
}

function watch(uris, options) {
  const { settings, signal } = watchOptions(uris, options);
  return new Watcher(addon, settings, signal);
}

function stats() {
  return addon.stats();
}

function watches() {
  return addon.watches();
}

exports.attach = attach;
exports.detach = detach;
exports.drain = drain;
exports.ref = ref;
exports.unref = unref;
exports.onLog = onLog;
exports.watch = watch;
exports.stats = stats;
exports.watches = watches;
exports.version = addon.version;

// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The main program of a worker that opens one connection, and ends. libvirt keeps the last error for the thread of the
// call. A second call in the thread pool may run in another thread, and would not find it.
'use strict';

const { parentPort, workerData: uri } = require('worker_threads');
const koffi = require('koffi');

const libvirt = koffi.load('libvirt.so.0');
const virConnectOpen = libvirt.func('void *virConnectOpen(const char *uri)');
const virGetLastErrorMessage = libvirt.func('const char *virGetLastErrorMessage()');

const conn = virConnectOpen(uri);
parentPort.postMessage(conn ? { conn: koffi.address(conn) } : { reason: virGetLastErrorMessage() });

// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Each declaration used as it is meant to be, and refused as it is not. package.test.js gives it to `tsc --strict`.
import virtUv = require('virt-uv');

virtUv.onLog((level, message) => {
  const known: 'error' | 'warn' | 'info' | 'debug' = level;
  const text: string = message;
  console.log(known, text);
});
virtUv.onLog(null);
virtUv.attach();
virtUv.attach({ slowCallbackMs: 50 });
const detached: Promise<void> = virtUv.detach();
const drained: Promise<void> = virtUv.drain();
virtUv.ref();
virtUv.unref();
const total: number = virtUv.stats().adds + virtUv.stats().freesPending;
const version: string = virtUv.version;
for (const entry of virtUv.watches()) {
  const what: number = entry.type === 'watch' ? entry.fd + entry.events : entry.frequency;
  console.log(entry.id, entry.fired, entry.lastMs, entry.longestUs, what);
}
detached.catch((error: virtUv.VirtUvError) => error.code === 'ENOTCONN');
console.log(drained, total, version);

// @ts-expect-error: no such option
virtUv.attach({ slow: 1 });
// @ts-expect-error: not a number
virtUv.attach({ slowCallbackMs: '5' });
// @ts-expect-error: a timeout has no fd until it is known to be a watch
console.log(virtUv.watches()[0]!.fd);
// @ts-expect-error: no such code
detached.catch((error: virtUv.VirtUvError) => error.code === 'ENOSUCH');
// @ts-expect-error: a listener or null
virtUv.onLog();
// @ts-expect-error: not to be set
virtUv.version = '1';

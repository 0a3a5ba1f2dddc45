// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The declarations as an ES module sees them: by name, and as a whole.
import { attach, detach, type Stats, stats, type Timeout, type Watch, watches } from 'virt-uv';
import virtUv from 'virt-uv';

attach();
const counts: Stats = stats();
const entries: Array<Watch | Timeout> = watches();
await detach();
console.log(counts.watches, entries.length, virtUv.version);

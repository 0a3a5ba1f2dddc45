// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Prints what happens on libvirt hosts, until Ctrl-C:
//
//     node events.mjs test:///default qemu+ssh://host/system
import { watch } from 'virt-uv';

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());

const uris = process.argv.slice(2);
const watcher = watch(uris.length > 0 ? uris : 'qemu:///system', {
  events: ['lifecycle', 'agent-lifecycle'],
  state: true,
  signal: stop.signal,
});
watcher.on('warning', ({ message }) => console.error(message));

for await (const record of watcher) {
  if (record.event === 'connection') console.log(record.uri, record.state, record.reason ?? '');
  if (record.event === 'state') console.log(record.uri, record.domain, 'is', record.state);
  if (record.event === 'lifecycle') console.log(record.uri, record.domain, record.type, record.detail);
  if (record.event === 'agent-lifecycle') console.log(record.uri, record.domain, 'agent', record.state);
  if (record.event === 'dropped') console.log(record.count, 'events were lost: the reader was too slow');
}

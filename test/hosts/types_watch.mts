// SPDX-License-Identifier: LGPL-2.1-or-later
//
// watch() used as it is meant to be, and refused as it is not.
import { watch, type Watcher, type WatchError, type WatchRecord } from 'virt-uv';

const controller = new AbortController();
const watcher: Watcher = watch(['qemu:///system'], {
  events: ['lifecycle', 'network-*'],
  state: true,
  keepalive: { interval: 5, count: 6 },
  reconnect: true,
  queueBytes: 65536,
  signal: controller.signal,
});
watcher.on('event', (event) => {
  if (event.event === 'lifecycle') console.log(event.domain, event.type.length, event.detail.length, event.uuid);
  if (event.event === 'state') console.log(event.id, event.state, event.reason);
  if (event.event === 'dropped') console.log(event.count + 1, event.since);
  if (event.event === 'graphics') console.log(event.local.family, event.subject[0]?.name);
  // @ts-expect-error: connections have a name of their own
  if (event.event === 'connection') console.log(event);
});
watcher.once('connection', ({ state, reason }) => console.log(state === 'lost', reason?.length));
watcher.on('error', (error: WatchError) => console.log(error.code, error.uri));
watcher.on('warning', (warning) => console.log(warning.message));
for await (const record of watcher) {
  const known: WatchRecord = record;
  console.log(known.time);
  // @ts-expect-error: not every record is about a domain
  console.log(record.domain);
  if (record.event === 'balloon-change') console.log(Number(record.actual), record.domain);
}
const closed: Promise<void> = watcher.close();
await closed;
{
  await using disposed = watch('test:///default', { keepalive: false, events: 'lifecycle' });
  console.log(disposed);
}
// @ts-expect-error: no such option
watch('test:///default', { stats: 1 });
// @ts-expect-error: no URI
watch();
// @ts-expect-error: no such event of the emitter
watcher.on('events', () => {});

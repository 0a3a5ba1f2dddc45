// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Suspends and resumes a domain through a binding of libvirt, and has the events from watch(), in one thread:
//
//     npm install @unraid/libvirt    # it is compiled: that needs make, g++, python3 and libvirt-dev
//     node control.mjs test:///default test
import { Hypervisor } from '@unraid/libvirt';
import { watch } from 'virt-uv';

const [uri = 'test:///default', name = 'test'] = process.argv.slice(2);

// First: libvirt serves the sockets of connections that are opened after it has a loop.
const watcher = watch(uri, { events: 'lifecycle' });
watcher.on('warning', ({ message }) => console.error(message));

const hypervisor = new Hypervisor({ uri });
await hypervisor.connectOpen();
const domain = await hypervisor.domainLookupByName(name);

// Leaving the loop closes the watcher.
for await (const record of watcher) {
  if (record.event === 'connection' && record.state !== 'lost') await domain.suspend();
  if (record.event !== 'lifecycle' || record.domain !== name) continue;
  console.log(record.domain, record.type, record.detail);
  if (record.type === 'Resumed') break;
  if (record.type === 'Suspended') await domain.resume();
}

// libvirt keeps the connection for as long as `domain` lives: this binding frees it when it is garbage.
await hypervisor.connectClose();

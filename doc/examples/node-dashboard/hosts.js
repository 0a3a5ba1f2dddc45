// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the page shows of each host: whether it is connected, and the state of its domains, from the records of watch().
//
// With `state: true`, each domain's state comes first, and from then on each lifecycle event says the next one. Whether
// a domain is transient, and so gone when it stops, is known of those only that were started while the host was
// watched: others stay listed as shut off.
'use strict';

const STATE_AFTER = {
  Started: 'running', Resumed: 'running', Suspended: 'paused', PMSuspended: 'pmsuspended', Shutdown: 'in shutdown',
  Stopped: 'shut off', Crashed: 'crashed',
};

/** `changed(host)` is called after a change of its status, `changed(host, name)` after one of a domain's state. */
class Host {
  status = 'connecting';
  isConnected = false;
  #domains = new Map(); // by name: { state, isTransient }
  #changed;

  constructor(uri, changed) {
    this.uri = uri;
    this.#changed = changed;
  }

  get view() {
    return { uri: this.uri, status: this.status, isConnected: this.isConnected };
  }

  get names() {
    return [...this.#domains.keys()];
  }

  /** undefined: there is no such domain. */
  stateOf(name) {
    return this.#domains.get(name)?.state;
  }

  apply(record) {
    if (record.event === 'connection') this.#connect(record);
    else if (record.event === 'state') this.#set(record.domain, { state: record.state, isTransient: false });
    else if (record.event === 'lifecycle') this.#live(record.domain, record.type);
  }

  /** What libvirt says of a connection that could not be opened, or was lost. */
  warn(words) {
    this.#show(words, this.isConnected);
  }

  #connect({ state, reason }) {
    for (const name of this.names) this.#set(name, undefined);
    if (state !== 'lost') this.#show('connected', true);
    else if (this.isConnected) this.#show(`lost: ${reason}`, false);
  }

  #live(name, type) {
    const known = this.#domains.get(name);
    const isActive = known !== undefined && known.state !== 'shut off';
    if (type === 'Defined') {
      this.#set(name, { state: known?.state ?? 'shut off', isTransient: false });
    } else if (type === 'Undefined') {
      this.#set(name, isActive ? { state: known.state, isTransient: true } : undefined);
    } else if (STATE_AFTER[type]) {
      const isTransient = known?.isTransient ?? true;
      const isGone = type === 'Stopped' && isTransient;
      this.#set(name, isGone ? undefined : { state: STATE_AFTER[type], isTransient });
    }
  }

  #set(name, domain) {
    if (domain) this.#domains.set(name, domain);
    else this.#domains.delete(name);
    this.#changed(this, name);
  }

  #show(status, isConnected) {
    this.status = status;
    this.isConnected = isConnected;
    this.#changed(this);
  }
}

module.exports = { Host };

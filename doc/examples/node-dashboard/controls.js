// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The actions on one host, in a connection of their own: that of watch() is read-only. It is opened for the first
// action, and given up after one that failed, as it may be broken. Actions are done one after the other, so that the
// connection is not closed during a call.
'use strict';

const { Connection } = require('./libvirt.js');

const KEEP_ALIVE = { interval: 5, count: 3 };

class Controls {
  #uri;
  #connection = null;
  #last = Promise.resolve();

  constructor(uri) {
    this.#uri = uri;
  }

  /** Rejected with libvirt's error. */
  act(action, name) {
    return this.#afterwards(async () => {
      this.#connection ??= await Connection.open(this.#uri, { keepAlive: KEEP_ALIVE });
      try {
        await this.#connection[action](name);
      } catch (error) {
        await this.#giveUp();
        throw error;
      }
    });
  }

  /** A later action opens another connection. */
  close() {
    return this.#afterwards(() => this.#giveUp());
  }

  async #giveUp() {
    const connection = this.#connection;
    this.#connection = null;
    await connection?.close();
  }

  #afterwards(task) {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }
}

module.exports = { Controls };

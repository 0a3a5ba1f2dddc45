// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A libvirtd of our own: test/support/libvirtd.py, which takes commands on stdin and ends the daemon at its end.
'use strict';

const path = require('path');
const readline = require('readline');
const { once } = require('events');
const { spawn } = require('child_process');

const LAUNCHER = path.join(__dirname, '..', 'support', 'libvirtd.py');

class Libvirtd {
  #launcher = spawn('/usr/bin/python3', ['-B', LAUNCHER], { stdio: ['pipe', 'pipe', 'inherit'] });
  #lines = readline.createInterface({ input: this.#launcher.stdout })[Symbol.asyncIterator]();

  static async start() {
    const libvirtd = new Libvirtd();
    libvirtd.uri = await libvirtd.#nextLine();
    return libvirtd;
  }

  async #nextLine() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the launcher of libvirtd has ended');
    return value;
  }

  async #command(name) {
    this.#launcher.stdin.write(`${name}\n`);
    await this.#nextLine();
  }

  /** Stops answering. */
  pause() {
    return this.#command('pause');
  }

  kill() {
    return this.#command('kill');
  }

  /** After a kill: the same daemon at the same URI. */
  restart() {
    return this.#command('start');
  }

  async stop() {
    this.#launcher.stdin.end();
    if (this.#launcher.exitCode === null) await once(this.#launcher, 'exit');
  }
}

module.exports = { Libvirtd };

// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A libvirtd of our own in a folder of its own. Two on one machine collide on /run/libvirt, so flock lets one run at a
// time; flock becomes the daemon (--no-fork), which thus holds the lock until it ends. Its folder of drivers is
// empty: the test driver is built in, and others would start on the machine's own network and guests. Should the test be
// killed, the daemon ends for want of clients.
'use strict';

const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const { spawn } = require('child_process');
const { setTimeout: delay } = require('timers/promises');

const LIMIT_MS = 100000; // another suite may hold the lock

const config = (folder) => `
unix_sock_dir = "${folder}"
auth_unix_ro = "none"
auth_unix_rw = "none"
listen_tls = 0
listen_tcp = 0
`;

function accepts(socket) {
  return new Promise((resolve) => {
    const client = net.connect(socket);
    client.on('connect', () => (client.destroy(), resolve(true)));
    client.on('error', () => resolve(false));
  });
}

class Libvirtd {
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'virt-uv-libvirtd-'));
  #daemon;
  #ended;
  #said = '';

  static async start() {
    const libvirtd = new Libvirtd();
    await libvirtd.#start();
    return libvirtd;
  }

  async #start() {
    fs.mkdirSync(path.join(this.#folder, 'no-drivers'));
    const file = path.join(this.#folder, 'libvirtd.conf');
    fs.writeFileSync(file, config(this.#folder));
    const command = ['/usr/sbin/libvirtd', '-f', file, '-p', path.join(this.#folder, 'pid'), '--timeout', '30'];
    this.#daemon = spawn('flock', ['--no-fork', '/tmp/virt-uv-libvirtd.lock', ...command], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LIBVIRT_DRIVER_DIR: path.join(this.#folder, 'no-drivers') },
    });
    this.#daemon.stderr.on('data', (data) => (this.#said += data));
    this.#ended = new Promise((resolve) => this.#daemon.on('exit', resolve));
    const limit = Date.now() + LIMIT_MS;
    while (!(await accepts(this.socket))) {
      if (this.#daemon.exitCode !== null || Date.now() > limit) throw new Error(`libvirtd did not come up: ${this.#said}`);
      await delay(20);
    }
  }

  get socket() {
    return path.join(this.#folder, 'libvirt-sock');
  }

  get uri() {
    return `test+unix:///default?socket=${this.socket}`;
  }

  /** Stops answering, and goes on. */
  pause() {
    this.#daemon.kill('SIGSTOP');
  }

  async kill() {
    this.#daemon.kill('SIGKILL');
    await this.#ended;
  }

  async stop() {
    this.#daemon.kill('SIGCONT');
    this.#daemon.kill('SIGTERM');
    await this.#ended;
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}

module.exports = { Libvirtd };

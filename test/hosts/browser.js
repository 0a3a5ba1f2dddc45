// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A Chromium with a profile of its own.
'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');
const puppeteer = require('puppeteer-core');

class Browser {
  #browser;
  #profile = fs.mkdtempSync(path.join(os.tmpdir(), 'virt-uv-chromium-'));

  static async start() {
    const started = new Browser();
    started.#browser = await puppeteer.launch({
      executablePath: '/usr/bin/chromium',
      headless: true,
      userDataDir: started.#profile,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync'],
    });
    return started;
  }

  newPage() {
    return this.#browser.newPage();
  }

  async stop() {
    await this.#browser.close();
    fs.rmSync(this.#profile, { recursive: true, force: true });
  }
}

module.exports = { Browser };

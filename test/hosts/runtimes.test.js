// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Runtimes that have Node-API and no libuv loop: the package says so, and does not end the process.
'use strict';

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { execFileSync } = require('child_process');
const { test } = require('node:test');

const build = process.env.VIRT_UV_HOSTS_BUILD;
const runtimes = {
  bun: ['@oven/bun-linux-x64/bin/bun'],
  Deno: ['@deno/linux-x64-glibc/deno', 'run', '--allow-all'],
};

for (const [name, [file, ...options]] of Object.entries(runtimes)) {
  const program = path.join(build, 'node_modules', file);
  // npm has it for some machines only.
  const skip = !fs.existsSync(program) && `no ${name} for this machine`;

  test(`in ${name}, each function fails with ENOTSUP and a sentence`, { skip, timeout: 60000 }, () => {
    const folder = fs.mkdtempSync(path.join(build, 'runtime-'));
    try {
      fs.writeFileSync(
        path.join(folder, 'main.mjs'),
        `import { attach, detach, stats, version } from 'virt-uv';
        for (const call of [attach, detach, stats]) {
          try {
            await call();
          } catch (error) {
            console.log(error instanceof Error, error.code, error.message);
          }
        }
        console.log(version);`,
      );
      const stdout = execFileSync(program, [...options, path.join(folder, 'main.mjs')], { encoding: 'utf8' });
      const line = `true ENOTSUP virt-uv: ENOTSUP: ${name} does not run on libuv; virt-uv needs Node\n`;
      assert.strictEqual(stdout, `${line.repeat(3)}${require('virt-uv').version}\n`);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });
}

// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Finds the addon: the one that Meson built beside this file, otherwise the one that the package brings along.
//
// The names are literal, and in try blocks. So a bundler finds the files that are there, and accepts that others are
// not.
'use strict';

const HOW_TO_BUILD =
  'to build it, in the source tree of virt-uv: "meson setup build -Dnode=enabled && meson install -C build", ' +
  'which puts the package into PREFIX/lib/node_modules';

function notSupported(message, cause) {
  return Object.assign(new Error(`virt-uv: ${message}`, { cause }), { code: 'ENOTSUP' });
}

function absent(error) {
  if (error.code === 'MODULE_NOT_FOUND') return undefined;
  throw notSupported(`the addon cannot be loaded: ${error.message}; ${HOW_TO_BUILD}`, error);
}

function built() {
  try {
    return require('./virt_uv.node');
  } catch (error) {
    return absent(error);
  }
}

function prebuilt() {
  if (process.platform !== 'linux') return undefined;
  try {
    if (process.arch === 'x64') return require('./linux-x64/virt_uv.node');
    if (process.arch === 'arm64') return require('./linux-arm64/virt_uv.node');
  } catch (error) {
    return absent(error);
  }
  return undefined;
}

// bun and Deno have Node-API, and no libuv loop: bun ends the process at the first uv_*.
function failing(runtime) {
  const fail = () => {
    throw notSupported(`ENOTSUP: ${runtime} does not run on libuv; virt-uv needs Node`);
  };
  const functions = ['attach', 'detach', 'drain', 'ref', 'unref', 'onLog', 'stats', 'watches', 'watch'];
  const addon = { version: require('./package.json').version };
  for (const name of functions) addon[name] = fail;
  return addon;
}

function find() {
  if (process.versions.bun) return failing('bun');
  if (process.versions.deno) return failing('Deno');
  const addon = built() ?? prebuilt();
  if (addon) return addon;
  throw notSupported(`there is no addon for ${process.platform}-${process.arch} here; ${HOW_TO_BUILD}`);
}

module.exports = find();

// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Lists the library's own sources for binding.gyp. They are in the source tree around this folder, or in core/, where
// `npm pack` puts a copy so that the package can be built alone.
//
//     node core.js sources | includes | copy | remove
'use strict';

const fs = require('fs');
const path = require('path');

const tree = path.join(__dirname, '..', '..');
const copy = path.join(__dirname, 'core');
const root = fs.existsSync(copy) ? copy : tree;
const layers = ['lib/api', 'lib/loop', 'lib/core'];

function sourcesIn(folder) {
  return fs.readdirSync(folder).filter((name) => /\.(cpp|h|hpp)$/.test(name)).map((name) => path.join(folder, name));
}

function copyFolder(folder) {
  fs.mkdirSync(path.join(copy, folder), { recursive: true });
  for (const file of sourcesIn(path.join(tree, folder)))
    fs.copyFileSync(file, path.join(copy, folder, path.basename(file)));
}

const verbs = {
  sources() {
    for (const layer of layers)
      for (const file of sourcesIn(path.join(root, layer)))
        if (file.endsWith('.cpp')) console.log(path.relative(__dirname, file));
  },
  includes() {
    for (const folder of ['include', 'lib']) console.log(path.relative(__dirname, path.join(root, folder)));
  },
  copy() {
    fs.rmSync(copy, { recursive: true, force: true });
    for (const folder of [...layers, 'include/virt-uv']) copyFolder(folder);
    fs.copyFileSync(path.join(tree, 'COPYING'), path.join(copy, 'COPYING'));
  },
  remove() {
    fs.rmSync(copy, { recursive: true, force: true });
  },
};

const verb = verbs[process.argv[2]];
if (!verb) throw new Error(`core.js: one of ${Object.keys(verbs).join(', ')} is wanted, not ${process.argv[2]}`);
verb();

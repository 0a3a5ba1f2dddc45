// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Prints the folder with node_api.h: that of npm's node-api-headers if it can be resolved from here, otherwise the one
// that was installed with this Node.
'use strict';

const fs = require('fs');
const path = require('path');

function packageFolder() {
  try {
    return require('node-api-headers').include_dir;
  } catch {
    return undefined;
  }
}

const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
const folders = [packageFolder(), path.join(prefix, 'include', 'node')];
const found = folders.find((folder) => folder && fs.existsSync(path.join(folder, 'node_api.h')));
if (!found) {
  console.error(`no node_api.h in ${folders.filter(Boolean).join(', ')}: npm install node-api-headers, or libnode-dev`);
  process.exit(1);
}
console.log(found);

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#     tools/node-package.sh REPOSITORY FOLDER
#
# Makes the package for npm, FOLDER/virt-uv-VERSION.tgz, with the addon for linux-x64 in it: nothing is built or
# downloaded when it is installed. REPOSITORY is the https address of this repository, for the package's `repository`,
# `bugs` and `homepage` fields. Prints the path of the package.
#
# Runs on Debian 12, whose glibc is old: the addon then runs with that one and newer ones. tools/in-root.sh runs it in a
# Debian 12 that is a folder.
set -euo pipefail
die() {
  printf 'tools/node-package.sh: %s\n' "$*" >&2
  exit 1
}
[[ $# == 2 ]] || { sed -n '4,11s/^# \?//p' "$0" >&2; exit 2; }
repository=${1%.git} folder=$(readlink -f "$2")
[[ $repository == https://?* ]] || die "not an https address: $1"
[[ -d $folder ]] || die "no such folder: $2"
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/tree.sh
grep -qx 'VERSION_ID="12"' /etc/os-release || die 'this is not Debian 12: see tools/in-root.sh'
[[ $(dpkg --print-architecture) == amd64 ]] || die "the package holds an addon for linux-x64; this is $(uname -m)"

tools/deps.sh node
tree=build-check/node-package
configure "$tree" -Dbuildtype=release -Dwerror=true -Dnode=enabled -Dtools=disabled -Dtests=disabled -Dapi_docs=disabled
quietly ninja --quiet -j2 -C "$tree" lib/node/virt_uv.node

package=$tree/package
rm -rf "$package"
mkdir -p "$package/linux-x64"
cp lib/node/{addon,index,watch_options,watcher}.js lib/node/{index,records}.d.ts lib/node/README.md \
  COPYING NEWS.md "$package/"
strip --strip-unneeded -o "$package/linux-x64/virt_uv.node" "$tree/lib/node/virt_uv.node"
node - "$repository" lib/node/package.json >"$package/package.json" <<'END'
const [, , repository, file] = process.argv;
const description = JSON.parse(require('fs').readFileSync(file, 'utf8'));
description.repository = { type: 'git', url: `git+${repository}.git`, directory: 'lib/node' };
description.bugs = { url: `${repository}/issues` };
description.homepage = `${repository}#readme`;
console.log(JSON.stringify(description, null, 2));
END
cd "$package"
printf '%s/%s\n' "$folder" "$(npm pack --silent --pack-destination "$folder")"

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#     tools/node-package.sh REPOSITORY FOLDER [PROCESSOR...]    x64 and arm64 unless some are given
#
# Makes the package for npm, FOLDER/virt-uv-VERSION.tgz, with the addon for Linux on these processors in it: nothing is
# built or downloaded when it is installed. REPOSITORY is the https address of this repository, for the package's
# `repository`, `bugs` and `homepage` fields. Prints the path of the package.
#
# Runs on Debian 12 on x64, whose glibc is old: the addon then runs with that one and newer ones. For arm64 it adds that
# architecture to dpkg, for the libraries to link with. tools/node-package-test.sh runs it in a Debian 12 of its own.
set -euo pipefail
die() {
  printf 'tools/node-package.sh: %s\n' "$*" >&2
  exit 1
}
[[ $# -ge 2 ]] || { sed -n '4,11s/^# \?//p' "$0" >&2; exit 2; }
repository=${1%.git} folder=$(readlink -f "$2")
shift 2
[[ $# -gt 0 ]] || set -- x64 arm64
[[ $repository == https://?* ]] || die "not an https address: $1"
[[ -d $folder ]] || die "no such folder: $2"
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/tree.sh
grep -qx 'VERSION_ID="12"' /etc/os-release || die 'this is not Debian 12: see tools/in-root.sh'
[[ $(dpkg --print-architecture) == amd64 ]] || die "not made on $(uname -m): make it on x64"

package=$PWD/build-check/node-package/package
rm -rf "$package"
mkdir -p "$package"

# add_addon PROCESSOR TOOLS [OPTIONS...]: TOOLS is what the names of the compiler and its tools begin with.
add_addon() {
  local processor=$1 tools=$2 tree=build-check/node-package-$1
  shift 2
  configure "$tree" "$@" -Dbuildtype=release -Dwerror=true -Dnode=enabled -Dtools=disabled -Dtests=disabled \
    -Dapi_docs=disabled
  quietly ninja --quiet -j2 -C "$tree" lib/node/virt_uv.node
  mkdir "$package/linux-$processor"
  "${tools}strip" --strip-unneeded -o "$package/linux-$processor/virt_uv.node" "$tree/lib/node/virt_uv.node"
}

for processor; do
  case $processor in
    x64)
      tools/deps.sh node
      add_addon x64 ''
      ;;
    arm64)
      tools/deps.sh node-arm64
      add_addon arm64 aarch64-linux-gnu- --cross-file tools/aarch64-linux-gnu.ini
      ;;
    *) die "no such processor: $processor" ;;
  esac
done

cp lib/node/{addon,index,watch_options,watcher}.js lib/node/{index,records}.d.ts lib/node/README.md \
  COPYING NEWS.md "$package/"
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

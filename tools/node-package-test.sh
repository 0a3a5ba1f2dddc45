#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Makes HEAD's package for npm in a Debian 12, by tools/node-package.sh, and runs it there in a Node of each processor
# that it has an addon for, arm64 in user-mode QEMU.
#
#     tools/node-package-test.sh [MAJOR...]     the newest Nodes of these major versions, from npm; 18 and 24
#
# The package is left in build-check/node-package/. The last line is `N passed, N failed, N skipped`. Needs root.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/suites.sh
. tools/roots.sh

[[ $# -gt 0 ]] || set -- 18 24
majors=("$@")
root=$roots/node-package
made=/root/made

in_root() {
  tools/in-root.sh "$root" /bin/bash -ec "cd $clone; . tools/tree.sh; $1"
}

make_package() {
  new_root debian-12 "$root" || return
  mkdir "$root$made"
  in_root "tools/deps.sh node-test; tools/node-package.sh https://example.org/virt-uv $made" >&2 || return
  keep_packages debian-12 "$root"
  mkdir -p build-check/node-package
  cp "$root$made"/*.tgz build-check/node-package/
  mkdir "$root$made/node_modules"
  tar -x -f "$root$made"/virt-uv-*.tgz -C "$root$made/node_modules" --transform s/^package/virt-uv/
  cat >"$root$made/main.mjs" <<'END'
import { attach, detach, watch } from 'virt-uv';
attach();
await detach();
for await (const { event, domain, state } of watch('test:///default', { state: true })) {
  console.log(process.arch, event, domain ?? '', state);
  if (event === 'state') break;
}
END
}

# runs PROCESSOR MAJOR [EMULATOR]
runs() {
  local package=node-linux-$1 output
  output=$(in_root "cd $made; tar -x -f \$(npm pack --silent $package@$2) --transform s/^package/$package-$2/
    ${3-} $package-$2/bin/node main.mjs") || true
  if [[ $output == "$1 connection  opened"$'\n'"$1 state test running" ]]; then
    passed=$((passed + 1))
  else
    printf 'Node %s on %s: %s\n' "$2" "$1" "$output"
    failed=$((failed + 1))
  fi
}

check_package() {
  local major
  make_package || { failed=$((failed + 1)); return; }
  for major in "${majors[@]}"; do
    runs x64 "$major"
    runs arm64 "$major" qemu-aarch64-static
  done
  rm -rf --one-file-system "$root"
}

tools/deps.sh platforms
[[ -z $(git status --porcelain) ]] || echo 'What is not committed is not tested.' >&2
locked node-package check_package
closing_line

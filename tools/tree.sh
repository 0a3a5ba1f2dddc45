# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Build trees, for the other scripts of this folder (bash; source it with the top of the repository as the working
# directory).
#
# A tree is set up once for a path, a version of Meson and a set of options, which are written in its file `.made-for`.
# A tree that was set up by these scripts for something else is made anew. A tree that was set up by hand keeps its
# options.

# Debian's tools first: a Python or Meson from elsewhere does not find Debian's modules. libvirtd is in an sbin folder.
export PATH="/usr/sbin:/usr/bin:/sbin:/bin${PATH:+:$PATH}"

# quietly COMMAND...: shows the output of the command, on stderr, only if it fails.
quietly() {
  local output
  output=$("$@" 2>&1 </dev/null) && return
  printf '%s\nThis failed: %s\n' "$output" "$*" >&2
  return 1
}

# configure TREE [OPTIONS...]: sets TREE up with these options of `meson setup`, unless that was done before. The tests
# and the tools are in it unless the options say otherwise: a missing dependency is an error, not less to test.
configure() {
  local tree=$1 made_for
  shift
  set -- -Dtests=enabled -Dtools=enabled -Dapi_docs=enabled "$@"
  made_for="$PWD with Meson $(meson --version) and ${CXX:-g++}: $*"
  [[ -e $tree/build.ninja && $(cat "$tree/.made-for" 2>/dev/null) == "$made_for" ]] && return
  [[ -e $tree/.made-for ]] && rm -r "$tree"
  if [[ -e $tree/meson-private/cmd_line.txt ]]; then
    quietly meson setup --wipe "$tree" || return
  else
    quietly meson setup "$@" "$tree" || return
  fi
  printf '%s\n' "$made_for" >"$tree/.made-for"
}

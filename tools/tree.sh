# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Build trees, for the scripts beside this one (bash; source it with the repository's top as the working directory).
#
# A tree is set up once, for this place, this Meson and these options, and `.made-for` in it says so. A tree of ours that
# was made for something else is made anew. One that somebody set up by hand keeps the options it has.

# Debian's tools first: a Python or a Meson from elsewhere does not see Debian's modules. libvirtd lies in an sbin.
export PATH="/usr/sbin:/usr/bin:/sbin:/bin${PATH:+:$PATH}"

# quietly COMMAND...: its output is shown, on stderr, only if it fails.
quietly() {
  local output
  output=$("$@" 2>&1 </dev/null) && return
  printf '%s\nThis failed: %s\n' "$output" "$*" >&2
  return 1
}

# configure TREE [OPTIONS...]: sets TREE up with these options of `meson setup`, unless it is.
configure() {
  local tree=$1 made_for
  shift
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

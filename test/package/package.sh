#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The package as its users get it: installed to a place of its own, found by pkg-config alone; each program of
# doc/examples is built against it, without a warning, and run. What happens to domains is done from outside, by virsh,
# to a private libvirtd with libvirt's test driver.
#
#     package.sh MESON SOURCE_DIR BUILD_DIR SCRATCH_DIR VERSION

set -u
meson=$1 source=$2 build=$3 scratch=$4 version=$5
export PATH="/usr/sbin:/usr/bin:/sbin:/bin:$PATH"
readonly limit_seconds=30

fail() {
  echo "package.sh: $*" >&2
  exit 1
}

# --- the package ---------------------------------------------------------------------------------------------------

install_package() {
  root=$scratch/root
  rm -rf "$root"
  "$meson" install -C "$build" --no-rebuild --quiet --tags runtime,devel --destdir "$root" ||
    fail "meson install failed: is everything built?"
  local pc
  pc=$(find "$root" -name virt-uv.pc)
  [ -n "$pc" ] || fail "no virt-uv.pc was installed"
  export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$root
  export LD_LIBRARY_PATH=${pc%/pkgconfig/*}
}

check_pkg_config() {
  local found
  found=$(pkg-config --modversion virt-uv) || fail "pkg-config doesn't find virt-uv"
  [ "$found" = "$version" ] || fail "pkg-config says version $found and the project $version"
  for needed in libuv libvirt; do
    pkg-config --print-requires virt-uv | grep -q "^$needed" ||
      fail "virt-uv.pc doesn't require $needed, whose headers ours include"
  done
}

build_example() { # FILE
  local name=${1##*/} flags
  flags=$(pkg-config --cflags --libs virt-uv) || fail "pkg-config failed"
  local compile="c++ -std=c++17"
  [ "${name##*.}" = c ] && compile="cc -std=gnu99"
  # shellcheck disable=SC2086 # flags are words
  $compile -Wall -Wextra -Wpedantic -Werror "$1" -o "$scratch/$name.run" $flags ||
    fail "$name doesn't build against the package"
  ldd "$scratch/$name.run" | grep -q "$root.*/libvirt-uv\.so\.0 " ||
    fail "$name doesn't run with the library that was installed"
}

# --- libvirtd ------------------------------------------------------------------------------------------------------

start_libvirtd() {
  coproc LIBVIRTD { LD_LIBRARY_PATH='' exec /usr/bin/python3 -B "$source/test/support/libvirtd.py"; }
  launcher=$LIBVIRTD_PID
  local coproc_end=${LIBVIRTD[1]}
  exec {to_libvirtd}>&"$coproc_end" {coproc_end}>&-
  read -r uri <&"${LIBVIRTD[0]}" || fail "libvirtd didn't start"
  trap stop_libvirtd EXIT
}

stop_libvirtd() {
  exec {to_libvirtd}>&-
  wait "$launcher"
}

virsh_do() { LD_LIBRARY_PATH='' virsh -q -c "$uri" "$@" > /dev/null; }

# --- the examples --------------------------------------------------------------------------------------------------

# Starts a program; what it prints is read by expect, what is told to it goes to its stdin.
start() { # PROGRAM ARGUMENTS...
  echo "-- ${1##*/}"
  rm -f "$scratch/stdin" "$scratch/stdout"
  mkfifo "$scratch/stdin" "$scratch/stdout"
  "$@" < "$scratch/stdin" > "$scratch/stdout" 2>&1 {to_libvirtd}>&- &
  example=$!
  exec {to_example}> "$scratch/stdin" {from_example}< "$scratch/stdout"
}

tell() { echo "$1" >&"$to_example"; }

# Reads its next line, and shows it. False: there is no more.
next_line() {
  read -r -t "$limit_seconds" -u "$from_example" line
  local status=$?
  if [ "$status" -gt 128 ]; then
    kill "$example"
    fail "it says nothing more, and doesn't end"
  fi
  [ "$status" -eq 0 ] && echo "   $line"
}

# Reads its lines up to one that begins like this, for no longer than the limit: a program may repeat something else.
expect() {
  local deadline=$((SECONDS + limit_seconds))
  while ((SECONDS < deadline)) && next_line; do
    [[ $line == "$1"* ]] && return
  done
  fail "'$1' was never printed"
}

expect_success() {
  exec {to_example}>&-
  while next_line; do :; done
  exec {from_example}<&-
  wait "$example" || fail "it ended with status $?"
}

expect_events() {
  virsh_do suspend test || fail "virsh suspend failed"
  expect 'test: suspended'
  virsh_do resume test || fail "virsh resume failed"
  expect 'test: resumed'
}

libvirtd_do() { # kill|start
  echo "$1" >&"$to_libvirtd"
  read -r _ <&"${LIBVIRTD[0]}" || fail "libvirtd did not $1"
}

watch_domains() { # PROGRAM
  start "$1" "$uri"
  expect 'watching'
  expect_events
}

interrupt() {
  kill -INT "$example"
  expect_success
}

# Its connection is lost and opened again; and it ends while there is none.
run_domain_events_c() {
  watch_domains "$1"
  libvirtd_do kill
  expect 'lost: reason 1'
  expect 'Failed to connect'
  libvirtd_do start
  expect 'watching'
  expect_events
  interrupt
  start "$1" 'test+unix:///default?socket=/missing'
  expect "Failed to connect socket to '/missing'"
  interrupt
}

run_domain_events_cpp() {
  watch_domains "$1"
  interrupt
}

# The events come though the loop is attached last.
run_register_connect_attach_run_cpp() {
  watch_domains "$1"
  interrupt
}

run_stdin_and_events_cpp() {
  start "$1" "$uri"
  tell 'suspend test'
  expect 'test: suspended'
  virsh_do resume test || fail "virsh resume failed"
  expect 'test: resumed'
  tell 'dance'
  expect 'say:'
  expect_success
}

run_tracing_impl_cpp() {
  start "$1"
  expect 'timeout 1 every -1 ms'
  expect 'the event came: domain test'
  expect_success
}

install_package
check_pkg_config
start_libvirtd
for file in "$source"/doc/examples/*.c "$source"/doc/examples/*.cpp; do
  name=${file##*/}
  run=run_${name//[^a-z]/_}
  [ "$(type -t "$run")" = function ] || fail "no test runs $file: give it a $run here"
  build_example "$file"
  "$run" "$scratch/$name.run"
done
echo "package.sh: all examples built against the installed package and ran"

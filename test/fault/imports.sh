#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# imports.sh LIBRARY: fails when the library calls something of the C library, libuv or libvirt that is neither in
# inject.c (it can fail, and the test makes it) nor in the list here (it cannot, or its failure is nobody's loss); and
# when it calls something of libuv or libvirt that could call back, and that locks_test.cpp does not look at.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

cannot_fail='__[a-z]*san_.*|__cxa_.*|__dynamic_cast|__errno_location|__gmon_start__|__gxx_personality_v0
__register_atfork|_?__tls_get_addr
__u?(div|mod)(di|ti)3|ceil
abort|clock_gettime|dladdr|fprintf|fputs|fwrite|getenv|getrlimit|mem.*|pthread_.*|snprintf|stderr|str.*|close|ioctl
_ITM_.*|_Unwind_.*
uv_backend_fd|uv_check_.*|uv_close|uv_default_loop|uv_handle_size|uv_hrtime|uv_idle_.*|uv_is_active|uv_is_closing
uv_loop_close|uv_loop_size|uv_now|uv_poll_st.*|uv_prepare_.*|uv_ref|uv_run|uv_strerror|uv_timer_.*
uv_translate_sys_error|uv_unref|uv_version.*
eventfd_read|eventfd_write|virEvent.*|virResetLastError'

cannot_call_back='uv_is_active|uv_strerror|uv_translate_sys_error|uv_version.*|uv_.*_size|uv_now|uv_hrtime'
cannot_call_back+='|uv_backend_fd|uv_default_loop'

imports=$(nm --dynamic --undefined-only "$1" | awk '{ print $2 }' | sed 's/@.*//; s/64$//' | grep -v '^_Z')

unknown=$(grep -vxE "$(tr '\n' '|' <<<"$cannot_fail" | sed 's/|$//')" <<<"$imports" | while read -r name; do
  grep -qE "^[a-z_ ]*\b$name\(" "$here/inject.c" || echo "$name"
done)
[[ -z $unknown ]] || { printf 'Can these fail? Then put them into inject.c: %s\n' "${unknown//$'\n'/ }"; exit 1; }

unseen=$(grep -E '^(uv_|virEvent|virInit)' <<<"$imports" | grep -vxE "$cannot_call_back" | while read -r name; do
  grep -qE "^WATCHED\([a-z]+, $name," "$here/locks_test.cpp" || echo "$name"
done)
[[ -z $unseen ]] || {
  printf 'Is a lock held when these are called? Then put them into locks_test.cpp: %s\n' "${unseen//$'\n'/ }"
  exit 1
}

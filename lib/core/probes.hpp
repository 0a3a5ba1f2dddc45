// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Static probes (USDT) for bpftrace, perf, SystemTap and gdb: the provider is virt_uv, and doc/probes.md has the names
// and arguments. A probe is one nop; nothing is computed for it that is not there anyway.
#pragma once

#ifdef VIRT_UV_HAVE_SDT
#define SDT_USE_VARIADIC  // for STAP_PROBEV
#include <sys/sdt.h>
#define VIRT_UV_PROBE(...) STAP_PROBEV(virt_uv, __VA_ARGS__)
#else
#define VIRT_UV_PROBE(...) static_cast<void>(0)
#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "caller.h"

#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static atomic_uintptr_t from, to; /* where libvirt-uv.so is mapped: as the program starts, for good */

static int find_library(struct dl_phdr_info *info, size_t size, void *data) {
  (void)size;
  (void)data;
  if (strstr(info->dlpi_name, "libvirt-uv.so") == NULL) return 0;
  uintptr_t end = 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const uintptr_t segment_end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
    if (segment_end > end) end = segment_end;
  }
  atomic_store(&from, info->dlpi_addr);
  atomic_store(&to, end);
  return 1;
}

int is_in_library(uintptr_t address) {
  if (atomic_load(&to) == 0) dl_iterate_phdr(find_library, NULL);
  return address >= atomic_load(&from) && address < atomic_load(&to);
}

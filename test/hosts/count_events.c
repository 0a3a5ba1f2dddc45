/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A domain event callback that is no JS: it can be called when the thread whose JS registered it is gone.
 */
#include <libvirt/libvirt.h>

static int count;

int count_event(virConnectPtr conn, virDomainPtr domain, int event, int detail, void *opaque) {
  (void)conn, (void)domain, (void)event, (void)detail, (void)opaque;
  __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
  return 0;
}

int events_counted(void) { return __atomic_load_n(&count, __ATOMIC_SEQ_CST); }

/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Prints domain events in a libuv loop until it is interrupted.
 *
 *     cc domain-events.c -o domain-events $(pkg-config --cflags --libs virt-uv) && ./domain-events qemu:///system
 */
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdio.h>
#include <virt-uv/virt-uv.h>

static virConnectPtr connection;
static int callback;

static int on_event(virConnectPtr conn, virDomainPtr domain, int event, int detail, void *opaque) {
  static const char *const names[] = {"defined", "undefined", "started",  "suspended",
                                      "resumed", "stopped",   "shut down"};
  const int known = event >= 0 && event < (int)(sizeof names / sizeof *names);
  printf("%s: %s (%d)\n", virDomainGetName(domain), known ? names[event] : "something else", detail);
  (void)conn, (void)opaque;
  return fflush(stdout);
}

static void on_idle(void *opaque) {
  (void)opaque;
  virt_uv_detach(NULL, NULL); /* nothing is registered any more; without the library's handles uv_run returns */
}

static void on_interrupt(uv_signal_t *interrupt, int number) {
  (void)number;
  uv_close((uv_handle_t *)interrupt, NULL);
  virConnectDomainEventDeregisterAny(connection, callback);
  virConnectClose(connection);
  virt_uv_drain(on_idle, NULL); /* the loop closes the connection's socket */
}

static int fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  return 1;
}

int main(int argc, char **argv) {
  uv_loop_t *loop = uv_default_loop();
  const int error = virt_uv_attach(loop, NULL); /* before the first connection */
  if (error < 0) return fail("virt_uv_attach", uv_strerror(error));

  connection = virConnectOpen(argc > 1 ? argv[1] : NULL);
  if (connection == NULL) return fail("virConnectOpen", virGetLastErrorMessage());
  callback = virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                              VIR_DOMAIN_EVENT_CALLBACK(on_event), NULL, NULL);
  if (callback < 0) return fail("virConnectDomainEventRegisterAny", virGetLastErrorMessage());

  uv_signal_t interrupt;
  uv_signal_init(loop, &interrupt);
  uv_signal_start(&interrupt, on_interrupt, SIGINT);
  fputs("watching; interrupt to end\n", stderr);
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop) == 0 ? 0 : 1;
}

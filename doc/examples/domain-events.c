/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Prints domain events in a libuv loop until it is interrupted. A connection that is lost, or cannot be opened, is
 * opened again.
 *
 *     cc domain-events.c -o domain-events $(pkg-config --cflags --libs virt-uv) && ./domain-events qemu:///system
 *
 * What waits for the host runs in libuv's thread pool, as one job at a time, which owns the connection meanwhile. The
 * loop's thread decides which job is next, and gets libvirt's callbacks. libvirt's errors belong to the thread that
 * made the call: the message is fetched in the job, as the loop's thread would find none, or an older one of its own.
 */
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <virt-uv/virt-uv.h>

enum { retry_ms = 1000, keepalive_s = 5, keepalive_count = 3 };

static const char *uri;
static virConnectPtr connection;
static int callback;
static int ending;

static uv_timer_t retry;
static uv_signal_t interrupt;

static struct {
  uv_work_t work;
  int is_running;
  int opens;
  char *error;
} job;

static int on_event(virConnectPtr conn, virDomainPtr domain, int event, int detail, void *opaque) {
  static const char *const names[] = {"defined", "undefined", "started",  "suspended",
                                      "resumed", "stopped",   "shut down"};
  const int known = event >= 0 && event < (int)(sizeof names / sizeof *names);
  printf("%s: %s (%d)\n", virDomainGetName(domain), known ? names[event] : "something else", detail);
  (void)conn, (void)opaque;
  return fflush(stdout);
}

static void on_retry(uv_timer_t *timer);

/* The connection is still in use by the caller: the next job closes it. */
static void on_close(virConnectPtr conn, int reason, void *opaque) {
  fprintf(stderr, "lost: reason %d\n", reason);
  if (!ending) uv_timer_start(&retry, on_retry, retry_ms, 0);
  (void)conn, (void)opaque;
}

/* In the pool, up to run_job. */

static void disconnect(void) {
  if (connection == NULL) return;
  virConnectDomainEventDeregisterAny(connection, callback);
  virConnectUnregisterCloseCallback(connection, on_close);
  virConnectClose(connection);
  connection = NULL;
}

static int connect_and_register(void) {
  connection = virConnectOpen(uri);
  if (connection == NULL) return -1;
  virConnectSetKeepAlive(connection, keepalive_s, keepalive_count); /* a driver without it, as test:///, refuses it */
  callback = virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                              VIR_DOMAIN_EVENT_CALLBACK(on_event), NULL, NULL);
  return callback < 0 ? -1 : virConnectRegisterCloseCallback(connection, on_close, NULL, NULL);
}

static void run_job(uv_work_t *work) {
  (void)work;
  disconnect();
  if (!job.opens || connect_and_register() == 0) return;
  job.error = strdup(virGetLastErrorMessage());
  disconnect();
}

static void on_job_done(uv_work_t *work, int status);

static void start_job(void) {
  job.is_running = 1;
  job.opens = !ending;
  uv_queue_work(retry.loop, &job.work, run_job, on_job_done);
}

static void on_idle(void *opaque) {
  (void)opaque;
  virt_uv_detach(NULL, NULL); /* nothing is registered any more; without the library's handles uv_run returns */
}

static void on_job_done(uv_work_t *work, int status) {
  job.is_running = 0;
  if (job.error != NULL) {
    fprintf(stderr, "%s\n", job.error);
    free(job.error);
    job.error = NULL;
  } else if (job.opens) {
    fputs("watching; interrupt to end\n", stderr);
  }
  if (!ending) {
    if (connection == NULL) uv_timer_start(&retry, on_retry, retry_ms, 0);
  } else if (job.opens) {
    start_job();
  } else {
    virt_uv_drain(on_idle, NULL); /* the loop closes the connection's socket */
  }
  (void)work, (void)status;
}

static void on_retry(uv_timer_t *timer) {
  if (job.is_running)
    uv_timer_start(timer, on_retry, retry_ms, 0);
  else
    start_job();
}

static void on_interrupt(uv_signal_t *signal, int number) {
  (void)number;
  ending = 1;
  uv_close((uv_handle_t *)signal, NULL);
  uv_close((uv_handle_t *)&retry, NULL);
  if (!job.is_running) start_job();
}

/* libvirt prints every error itself, unless it is told not to. */
static void on_error(void *opaque, virErrorPtr error) { (void)opaque, (void)error; }

int main(int argc, char **argv) {
  uv_loop_t *loop = uv_default_loop();
  signal(SIGPIPE, SIG_IGN); /* libvirt writes to connections whose peer has gone */
  virSetErrorFunc(NULL, on_error);
  const int error = virt_uv_attach(loop, NULL); /* before the first connection */
  if (error < 0) {
    fprintf(stderr, "virt_uv_attach: %s\n", uv_strerror(error));
    return 1;
  }
  uri = argc > 1 ? argv[1] : NULL;
  uv_timer_init(loop, &retry);
  uv_signal_init(loop, &interrupt);
  uv_signal_start(&interrupt, on_interrupt, SIGINT);
  start_job();
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop) == 0 ? 0 : 1;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A program and a library of two releases, the later of which has longer structs. Each has the structs of its own
 * header: the library neither reads nor writes beyond what the program has, and the program is told how much there is.
 *
 * It is built twice: with the header of today, for a library of the grown one (growth-older); and with the grown
 * header, which defines GROWN, for the library of today (growth-newer).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <virt-uv/virt-uv.h>

#define CHECK(condition) ((condition) ? (void)0 : fail(__LINE__, #condition))

static void fail(int line, const char *what) {
  fprintf(stderr, "growth.c:%d: it does not hold that %s\n", line, what);
  exit(1);
}

/* A copy whose next byte is in no memory. */
static void *at_the_edge(const void *object, size_t size) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
  return memcpy(pages + page - size, object, size);
}

static void count_line(virt_uv_log_level level, const char *message, void *opaque) {
  (void)level, (void)message;
  ++*(int *)opaque;
}

static void attach(int *lines) {
  const virt_uv_options initial = VIRT_UV_OPTIONS_INIT;
  virt_uv_options *options = at_the_edge(&initial, sizeof initial);
  options->log = count_line;
  options->log_opaque = lines;
#ifdef GROWN
  options->later = 1; /* it asks for what this library has not */
  CHECK(virt_uv_attach(NULL, options) == UV_EINVAL);
  options->later = 0;
#endif
  *lines = 0;
  CHECK(virt_uv_attach(NULL, options) == 0);
  CHECK(*lines > 0);
}

static void on_timeout(int timer, void *opaque) {
  (void)opaque;
  virt_uv_update_timeout(timer, -1);
  uv_stop(uv_default_loop());
}

static void check_stats(void) {
  const virt_uv_stats initial = VIRT_UV_STATS_INIT;
  virt_uv_stats *stats = at_the_edge(&initial, sizeof initial);
#ifdef GROWN
  stats->later = 5;
#endif
  CHECK(virt_uv_get_stats(stats) == 0);
  CHECK(stats->timeouts == 1 && stats->adds > 0 && stats->callbacks == 1 && stats->exceptions == 0);
#ifdef GROWN
  CHECK(stats->size == offsetof(virt_uv_stats, later));
  CHECK(stats->later == 5);
#else
  CHECK(stats->size == sizeof *stats);
#endif
}

static void check_entry(const virt_uv_entry *entry, void *opaque) {
  CHECK(entry->is_timeout && entry->id == *(int *)opaque && entry->fd == -1 && entry->frequency == -1);
  CHECK(entry->fired == 1);
#ifdef GROWN
  CHECK(entry->size == offsetof(virt_uv_entry, later));
#else
  CHECK(entry->size > sizeof *entry);
#endif
}

int main(void) {
  int lines;
  attach(&lines);
  int timer = virt_uv_add_timeout(0, on_timeout, NULL, NULL);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  check_stats();
  CHECK(virt_uv_walk(check_entry, &timer) == 1);
  return 0;
}

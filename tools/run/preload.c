/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libvirt-uv-preload.so: the two functions of libvirt's default event loop, before libvirt's own in the order of
 * lookup.
 *
 * It is loaded into any program, so it needs nothing but libc, and does nothing until the program registers the default
 * loop. Then it loads libvirt-uv-run.so from its own folder, which is linked with libvirt, GLib and libvirt-uv: all
 * but the last are there by then. Where that loop does not take the registration, libvirt's own functions are called.
 *
 * The symbols have no version, so they stand for those of every version of libvirt. libvirt's own calls come here too:
 * its daemons register and run the loop in libvirt.so.
 *
 * The program's children are to have none of this: the environment is put back as it was before virt-uv-run, unless
 * VIRT_UV_RUN has the word `follow`. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run_loop.h"

#define EXPORT __attribute__((visibility("default")))

typedef int (*default_function)(void);

static int shows_stats;
static pid_t first_pid;
static const struct virt_uv_run_loop *loop; /* set by the first registration */
static const struct virt_uv_run_loop *taken_loop;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static int has_word(const char *words, const char *word) {
  const size_t length = strlen(word);
  for (const char *at = words; (at = strstr(at, word)) != NULL; at += length)
    if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return 1;
  return 0;
}

/* The path that the linker loaded this file from: the one in LD_PRELOAD. */
static const char *own_path(void) {
  Dl_info info;
  return dladdr(&load_once, &info) != 0 ? info.dli_fname : "";
}

/* Takes this file out of LD_PRELOAD, and leaves what the user has there. */
static void leave_environment(void) {
  unsetenv(VIRT_UV_RUN_VARIABLE);
  const char *preload = getenv("LD_PRELOAD");
  const char *own = own_path();
  char *rest = preload != NULL ? malloc(strlen(preload) + 1) : NULL;
  if (rest == NULL) return;
  char *end = rest;
  while (*preload != '\0') {
    const size_t length = strcspn(preload, ": ");
    if (length > 0 && (strlen(own) != length || strncmp(preload, own, length) != 0)) {
      if (end != rest) *end++ = ':';
      memcpy(end, preload, length);
      end += length;
    }
    preload += length + (preload[length] != '\0');
  }
  *end = '\0';
  if (end != rest)
    setenv("LD_PRELOAD", rest, 1);
  else
    unsetenv("LD_PRELOAD");
  free(rest);
}

__attribute__((constructor)) static void begin(void) {
  const char *words = getenv(VIRT_UV_RUN_VARIABLE);
  first_pid = getpid();
  shows_stats = words != NULL && has_word(words, VIRT_UV_RUN_STATS);
  if (words == NULL || !has_word(words, VIRT_UV_RUN_FOLLOW)) leave_environment();
}

static void load(void) {
  const char *own = own_path();
  const char *slash = strrchr(own, '/');
  char path[4096];
  const int length =
      snprintf(path, sizeof path, "%.*s" VIRT_UV_RUN_LIBRARY, slash != NULL ? (int)(slash - own + 1) : 0, own);
  void *library = length < (int)sizeof path ? dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) : NULL;
  loop = library != NULL ? dlsym(library, VIRT_UV_RUN_SYMBOL) : NULL;
  if (loop == NULL)
    fprintf(stderr, "virt-uv-run: libvirt's own loop is used: %s\n", length < (int)sizeof path ? dlerror() : own);
}

/* libvirt's own. It is there, as the caller is linked with it; but maybe for its caller alone, as in an interpreter,
 * where RTLD_NEXT would not find it. */
static int call_libvirt(const char *name) {
  void *libvirt = dlopen("libvirt.so.0", RTLD_LAZY | RTLD_NOLOAD);
  default_function function = NULL;
  if (libvirt != NULL) *(void **)&function = dlsym(libvirt, name);
  if (function != NULL) return function();
  fprintf(stderr, "virt-uv-run: libvirt.so.0 has no %s\n", name);
  return -1;
}

__attribute__((destructor)) static void end(void) {
  if (!shows_stats || (taken_loop != NULL && taken_loop->write_stats())) return;
  if (getpid() == first_pid)
    dprintf(STDERR_FILENO, "virt-uv-run: %s[%d]: libvirt's default event loop was not run\n",
            program_invocation_short_name, (int)first_pid);
}

EXPORT int virEventRegisterDefaultImpl(void);
EXPORT int virEventRegisterDefaultImpl(void) {
  pthread_once(&load_once, load);
  if (loop == NULL || !loop->take_registration(shows_stats)) return call_libvirt("virEventRegisterDefaultImpl");
  __atomic_store_n(&taken_loop, loop, __ATOMIC_RELEASE);
  return 0;
}

EXPORT int virEventRunDefaultImpl(void);
EXPORT int virEventRunDefaultImpl(void) {
  const struct virt_uv_run_loop *taken = __atomic_load_n(&taken_loop, __ATOMIC_ACQUIRE);
  return taken != NULL ? taken->run_iteration() : call_libvirt("virEventRunDefaultImpl");
}

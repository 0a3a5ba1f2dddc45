/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * dlclose() does not unload the library: libvirt goes on calling what was registered. A module without that mark shows
 * that this program would see the difference.
 *
 *     stays_loaded LIBRARY PLAIN_MODULE
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what) {
  fprintf(stderr, "stays_loaded: %s\n", what);
  return 1;
}

/* Opens and closes it. Is it still there? -1: it can't be opened. */
static int stays(const char *path) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return -1;
  }
  dlclose(handle);
  return dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD) != NULL;
}

int main(int argc, char **argv) {
  if (argc != 3) return fail("usage: stays_loaded LIBRARY PLAIN_MODULE");
  if (stays(argv[2]) != 0) return fail("the plain module was not unloaded, so nothing can be told");

  void *handle = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) return fail(dlerror());
  const char *(*version)(void);
  *(void **)&version = dlsym(handle, "virt_uv_version_string");
  if (version == NULL) return fail(dlerror());
  dlclose(handle);
  if (stays(argv[1]) != 1) return fail("the library was unloaded");
  return strlen(version()) > 0 ? 0 : fail("virt_uv_version_string() is empty");
}

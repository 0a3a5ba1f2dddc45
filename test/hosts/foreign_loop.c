/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * This program carries a libuv of its own, linked statically and hidden, while virt-uv uses libuv.so.1. A loop of the
 * one is refused by the other: the log says whose it is, nothing is left on it, and the library's own default loop is
 * taken afterwards. Says what went wrong, and exits with 1, where that is not so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <virt-uv/virt-uv.h>

#define EXPECT(condition)                                                     \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

static char errors[4096];

static void log_errors(virt_uv_log_level level, const char *message, void *opaque) {
  (void)opaque;
  if (level == VIRT_UV_LOG_ERROR) strncat(errors, message, sizeof(errors) - strlen(errors) - 1);
}

int main(void) {
  virt_uv_options options = VIRT_UV_OPTIONS_INIT;
  uv_loop_t foreign;
  char built_with[32];
  options.log = log_errors;
  snprintf(built_with, sizeof(built_with), "%d.%d.%d", UV_VERSION_MAJOR, UV_VERSION_MINOR, UV_VERSION_PATCH);

  EXPECT(uv_loop_init(&foreign) == 0);
  EXPECT(virt_uv_attach(&foreign, &options) == UV_ENOTSUP);
  puts(errors);
  EXPECT(strstr(errors, "foreign_loop") != NULL);
  EXPECT(strstr(errors, "libuv.so.1") != NULL);
  EXPECT(strstr(errors, uv_version_string()) != NULL);
  EXPECT(strstr(errors, built_with) != NULL);
  EXPECT(virt_uv_loop() == NULL);
  EXPECT(uv_loop_close(&foreign) == 0);

  EXPECT(virt_uv_attach(uv_default_loop(), &options) == UV_ENOTSUP);
  EXPECT(virt_uv_attach(NULL, &options) == 0);
  EXPECT(virt_uv_loop() != NULL && virt_uv_loop() != uv_default_loop());
  return 0;
}

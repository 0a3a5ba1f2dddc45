/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What virt-uv-run, libvirt-uv-preload.so and libvirt-uv-run.so have between them. */
#ifndef VIRT_UV_RUN_LOOP_H
#define VIRT_UV_RUN_LOOP_H

/* Of the environment: words for libvirt-uv-preload.so, separated by spaces. */
#define VIRT_UV_RUN_VARIABLE "VIRT_UV_RUN"
#define VIRT_UV_RUN_STATS "stats"
#define VIRT_UV_RUN_FOLLOW "follow"

#define VIRT_UV_PRELOAD_LIBRARY "libvirt-uv-preload.so"
#define VIRT_UV_RUN_LIBRARY "libvirt-uv-run.so"
#define VIRT_UV_RUN_SYMBOL "virt_uv_run_loop"

#ifdef __cplusplus
extern "C" {
#endif

struct virt_uv_run_loop {
  /* virEventRegisterDefaultImpl(). 0: another event loop is registered, which is left alone. */
  int (*take_registration)(int shows_stats);
  /* virEventRunDefaultImpl(), once a registration was taken. */
  int (*run_iteration)(void);
  /* Writes the line of --stats to stderr. 0: this process has not run the loop. Any thread. */
  int (*write_stats)(void);
};

#ifdef __cplusplus
}
#endif

#endif

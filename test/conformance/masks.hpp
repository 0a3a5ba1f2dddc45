// SPDX-License-Identifier: LGPL-2.1-or-later
//
// libvirt's event bits by their initials, as traces have them.
#pragma once

#include <libvirt/libvirt.h>

namespace conformance {

constexpr int R = VIR_EVENT_HANDLE_READABLE;
constexpr int W = VIR_EVENT_HANDLE_WRITABLE;
constexpr int E = VIR_EVENT_HANDLE_ERROR;
constexpr int H = VIR_EVENT_HANDLE_HANGUP;
constexpr int kAll = R | W | E | H;

// The masks under which every kind of fd is tried.
constexpr int kMasks[] = {0, R, W, R | W, E, H, kAll};

}  // namespace conformance

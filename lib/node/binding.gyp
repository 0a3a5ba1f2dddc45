# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For npm. Meson builds the same addon from the same files: see meson.build for why each link option is there.
{
  'targets': [{
    'target_name': 'virt_uv',
    'sources': ['addon.cpp', 'attachment.cpp', 'inspect.cpp', 'js.cpp', 'log_sink.cpp', '<!@(node core.js sources)'],
    'include_dirs': ['<!@(node core.js includes)'],
    'defines': ['NAPI_VERSION=8', 'FMT_HEADER_ONLY'],
    'cflags': ['<!@(pkg-config --cflags libvirt fmt)', '-fvisibility=hidden'],
    'cflags_cc': ['-std=c++17', '-fvisibility-inlines-hidden'],
    'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17'],
    'ldflags': ['-Wl,-z,nodelete', '-Wl,-z,now', '-Wl,--version-script=<(module_root_dir)/addon.map'],
    'libraries': ['<!@(pkg-config --libs libvirt)', '-lpthread', '-ldl']
  }]
}

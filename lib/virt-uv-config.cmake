# SPDX-License-Identifier: LGPL-2.1-or-later
#
# find_package(virt-uv): the target virt-uv::virt-uv, as pkg-config has it.
include(CMakeFindDependencyMacro)
find_dependency(PkgConfig)

# Beside this file, and so found for whatever prefix find_package() has searched.
set(virt_uv_pkg_config_path "$ENV{PKG_CONFIG_PATH}")
set(ENV{PKG_CONFIG_PATH} "${CMAKE_CURRENT_LIST_DIR}/../../pkgconfig:$ENV{PKG_CONFIG_PATH}")
pkg_check_modules(virt_uv REQUIRED IMPORTED_TARGET GLOBAL virt-uv)
set(ENV{PKG_CONFIG_PATH} "${virt_uv_pkg_config_path}")

if(NOT TARGET virt-uv::virt-uv)
  add_library(virt-uv::virt-uv ALIAS PkgConfig::virt_uv)
endif()

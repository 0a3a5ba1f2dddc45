// SPDX-License-Identifier: LGPL-2.1-or-later
//
// operator new, of each form that libvirt-uv.so uses: as inject.c, which see.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "inject.h"

namespace {

void *allocate(std::size_t size, std::size_t alignment, void *caller) noexcept {
  if (inject_must_fail("operator new", reinterpret_cast<std::uintptr_t>(caller))) return nullptr;
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, rounded);
}

}  // namespace

void *operator new(std::size_t size) {
  void *memory = allocate(size, alignof(std::max_align_t), __builtin_return_address(0));
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void *operator new(std::size_t size, const std::nothrow_t &) noexcept {
  return allocate(size, alignof(std::max_align_t), __builtin_return_address(0));
}
void *operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t &) noexcept {
  return allocate(size, static_cast<std::size_t>(alignment), __builtin_return_address(0));
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void *memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

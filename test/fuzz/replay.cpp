// SPDX-License-Identifier: LGPL-2.1-or-later
//
// replay FOLDER [COUNT]: runs every program of the corpus, then COUNT random ones (its seed is fixed; default: 2000,
// times VIRT_UV_STRESS).
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "program.hpp"
#include "scale.hpp"

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes content(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

// On abort, the program that broke something is there to be added to the corpus.
void run(const Bytes &program) {
  std::ofstream("last-program", std::ios::binary)
      .write(reinterpret_cast<const char *>(program.data()), static_cast<std::streamsize>(program.size()));
  run_program(program.data(), program.size());
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: replay FOLDER [COUNT]\n"), 2;
  int replayed = 0;
  for (const auto &entry : std::filesystem::directory_iterator(argv[1])) {
    run(content(entry.path()));
    ++replayed;
  }
  if (replayed == 0) return std::fprintf(stderr, "%s: no program there\n", argv[1]), 1;
  const long count = argc > 2 ? std::atol(argv[2]) : static_cast<long>(scaled(2000));
  std::mt19937 random(1);
  for (long i = 0; i < count; ++i) {
    Bytes program(random() % 120);
    for (std::uint8_t &byte : program) byte = static_cast<std::uint8_t>(random());
    run(program);
  }
  std::printf("%d programs of the corpus, %ld random ones\n", replayed, count);
}

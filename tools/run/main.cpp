// SPDX-License-Identifier: LGPL-2.1-or-later
//
// virt-uv-run: has the dynamic linker preload libvirt-uv-preload.so into a program, and becomes that program by exec.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "options.hpp"
#include "program_file.hpp"
#include "run_loop.h"

namespace {

using run::Refusal;

// The folder of this program: its libraries are there too in a build tree.
std::string own_folder() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  const std::string own(path, length > 0 ? static_cast<std::size_t>(length) : 0);
  return own.substr(0, own.rfind('/'));
}

std::string preload_library() {
  std::string looked;
  for (const std::string &folder : {own_folder(), std::string(VIRT_UV_RUN_FOLDER)}) {
    const std::string preload = folder + "/" + VIRT_UV_PRELOAD_LIBRARY, loop = folder + "/" + VIRT_UV_RUN_LIBRARY;
    if (access(preload.c_str(), R_OK) == 0 && access(loop.c_str(), R_OK) == 0) return preload;
    looked += fmt::format("{}{}", looked.empty() ? "" : " and ", folder);
  }
  throw Refusal{run::kFailed, fmt::format("the libraries to preload, {} and {}, are not in {}", VIRT_UV_PRELOAD_LIBRARY,
                                          VIRT_UV_RUN_LIBRARY, looked)};
}

void set_environment(const run::Options &options, const std::string &library) {
  if (library.find_first_of(": ") != std::string::npos)
    throw Refusal{run::kFailed, fmt::format("{}: the dynamic linker takes no path with a space or a colon", library)};
  const char *preload = getenv("LD_PRELOAD");
  const bool has_others = preload != nullptr && preload[0] != '\0';
  setenv("LD_PRELOAD", (has_others ? library + ":" + preload : library).c_str(), 1);
  std::string words;
  if (options.shows_stats) words += VIRT_UV_RUN_STATS " ";
  if (options.follows) words += VIRT_UV_RUN_FOLLOW;
  setenv(VIRT_UV_RUN_VARIABLE, words.c_str(), 1);
}

[[noreturn]] void execute(const run::Execution &execution) {
  std::vector<char *> words;
  for (const std::string &word : execution.words) words.push_back(const_cast<char *>(word.c_str()));
  words.push_back(nullptr);
  execv(execution.path.c_str(), words.data());
  throw Refusal{run::kNotExecutable, fmt::format("{}: {}", execution.path, std::strerror(errno))};
}

int refuse(const Refusal &refusal) {
  fmt::print(stderr, "virt-uv-run: {}\n", refusal.why);
  return refusal.status;
}

}  // namespace

int main(int argc, char **argv) {
  const run::CommandLine line = run::parse_command_line(argc, argv);
  if (!line.error.empty()) return refuse({run::kFailed, line.error + " (--help tells more)"});
  if (!line.options) {
    fmt::print("{}", line.text);
    return std::fflush(stdout) == 0 ? 0 : run::kFailed;
  }
  try {
    const std::string library = preload_library();
    const run::Execution execution = run::execution_of(line.options->command);
    set_environment(*line.options, library);
    execute(execution);
  } catch (const Refusal &refusal) {
    return refuse(refusal);
  }
}

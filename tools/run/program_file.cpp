// SPDX-License-Identifier: LGPL-2.1-or-later
#include "program_file.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

namespace run {
namespace {

constexpr int kMostInterpreters = 4;  // as the kernel
constexpr std::size_t kLongestFirstLine = 256;

bool is_executable_file(const std::string &path) {
  struct stat file;
  return stat(path.c_str(), &file) == 0 && S_ISREG(file.st_mode) && access(path.c_str(), X_OK) == 0;
}

std::string in_search_path(const std::string &name) {
  const char *variable = getenv("PATH");
  const std::string search = variable != nullptr ? variable : "/bin:/usr/bin";
  for (std::size_t begin = 0; begin <= search.size();) {
    const std::size_t end = std::min(search.find(':', begin), search.size());
    const std::string folder = end > begin ? search.substr(begin, end - begin) : ".";
    const std::string path = folder + "/" + name;
    if (is_executable_file(path)) return path;
    begin = end + 1;
  }
  throw Refusal{kNotFound, fmt::format("{}: not found", name)};
}

std::string find(const std::string &name) {
  if (name.find('/') == std::string::npos) return in_search_path(name);
  if (access(name.c_str(), F_OK) < 0) throw Refusal{kNotFound, fmt::format("{}: {}", name, std::strerror(errno))};
  if (!is_executable_file(name)) throw Refusal{kNotExecutable, fmt::format("{}: it is not an executable file", name)};
  return name;
}

void check_rights(const std::string &path) {
  struct stat file;
  if (stat(path.c_str(), &file) < 0) return;
  const bool is_setuid = (file.st_mode & S_ISUID) != 0 && file.st_uid != getuid();
  const bool is_setgid = (file.st_mode & S_ISGID) != 0 && file.st_gid != getgid();
  const bool has_capabilities = getuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
  if (!is_setuid && !is_setgid && !has_capabilities) return;
  throw Refusal{kFailed,
                fmt::format("{}: it gets other rights than yours ({}), so nothing can be preloaded into it", path,
                            is_setuid   ? "setuid"
                            : is_setgid ? "setgid"
                                        : "file capabilities")};
}

template <typename T>
std::optional<T> read_at(std::ifstream &file, std::streamoff offset) {
  T value;
  file.seekg(offset);
  if (!file.read(reinterpret_cast<char *>(&value), sizeof value)) return {};
  return value;
}

bool has_interpreter(std::ifstream &file, const ElfW(Ehdr) & header) {
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    const auto entry = read_at<ElfW(Phdr)>(file, static_cast<std::streamoff>(header.e_phoff + i * header.e_phentsize));
    if (entry && entry->p_type == PT_INTERP) return true;
  }
  return false;
}

void check_binary(const std::string &path, std::ifstream &file) {
  std::ifstream own_file("/proc/self/exe", std::ios::binary);
  const auto own = read_at<ElfW(Ehdr)>(own_file, 0), header = read_at<ElfW(Ehdr)>(file, 0);
  if (!own || !header || own->e_machine != header->e_machine || own->e_ident[EI_CLASS] != header->e_ident[EI_CLASS] ||
      own->e_ident[EI_DATA] != header->e_ident[EI_DATA])
    throw Refusal{kFailed, fmt::format("{}: it is for another architecture than virt-uv-run", path)};
  if (!has_interpreter(file, *header))
    throw Refusal{kFailed, fmt::format("{}: it is statically linked, so nothing can be preloaded into it", path)};
}

// The words behind `#!`: the interpreter, and the rest of the line as one argument, as the kernel passes it.
std::vector<std::string> interpreter_words(std::ifstream &file) {
  std::string line;
  std::getline(file, line);
  line.resize(std::min(line.size(), kLongestFirstLine));
  const auto is_space = " \t";
  std::vector<std::string> words;
  const std::size_t begin = line.find_first_not_of(is_space);
  if (begin == std::string::npos) return words;
  const std::size_t end = std::min(line.find_first_of(is_space, begin), line.size());
  words.push_back(line.substr(begin, end - begin));
  const std::size_t argument = line.find_first_not_of(is_space, end);
  const std::size_t last = line.find_last_not_of(is_space);
  if (argument != std::string::npos) words.push_back(line.substr(argument, last + 1 - argument));
  return words;
}

bool is_plain_name(const std::string &word) { return word.find_first_of("-= \t") == std::string::npos; }

bool is_env(const std::vector<std::string> &words) {
  const std::string &path = words[0];
  return words.size() == 2 && path.substr(path.rfind('/') + 1) == "env" && is_plain_name(words[1]);
}

// What executes the script, if it is one: the interpreter's path.
std::optional<std::vector<std::string>> check_file(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  char magic[SELFMAG] = {};
  if (!file.read(magic, sizeof magic)) {
    check_rights(path);
    return {};
  }
  if (magic[0] == '#' && magic[1] == '!') {
    file.seekg(2);
    return interpreter_words(file);
  }
  check_rights(path);
  if (std::memcmp(magic, ELFMAG, SELFMAG) == 0) check_binary(path, file);
  return {};
}

}  // namespace

Execution execution_of(const std::vector<std::string> &command) {
  Execution execution{find(command[0]), command};
  std::string checked = execution.path;
  for (int i = 0; i < kMostInterpreters; ++i) {
    const auto words = check_file(checked);
    if (!words || words->empty()) return execution;  // the kernel says what is wrong with an empty line
    if (is_env(*words)) {
      checked = find(words->at(1));
      if (i > 0) continue;  // of an interpreter that is a script itself
      execution.words.front() = execution.path;
      execution.words.insert(execution.words.begin(), words->at(1));
      execution.path = checked;
    } else {
      checked = find(words->at(0));
    }
  }
  return execution;
}

}  // namespace run

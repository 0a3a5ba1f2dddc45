/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "event_choice.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <sstream>

namespace virt_uv::watch {
namespace {

bool is_glob(const std::string &word) { return word.find_first_of("*?[") != std::string::npos; }

void choose(const std::string &word, EventChoice &ret) {
  bool found = false;
  for (const EventKind &kind : all_event_kinds()) {
    if (fnmatch(word.c_str(), kind.name, 0) != 0) continue;
    found = true;
    if (std::find(ret.kinds.begin(), ret.kinds.end(), &kind) == ret.kinds.end()) ret.kinds.push_back(&kind);
    if (!is_glob(word)) ret.named.insert(&kind);
  }
  if (!found) throw UnknownEvent(word);
}

}  // namespace

UnknownEvent::UnknownEvent(const std::string &word)
    : std::invalid_argument(fmt::format("there is no event '{}'", word)) {}

EventChoice choose_events(const std::vector<std::string> &lists) {
  EventChoice choice;
  for (const std::string &list : lists) {
    std::istringstream words(list);
    std::string word;
    bool empty = true;
    while (std::getline(words, word, ',')) {
      choose(word, choice);
      empty = false;
    }
    if (empty) throw std::invalid_argument("the list of events is empty; leave it out for every kind");
  }
  if (lists.empty()) choose("*", choice);
  return choice;
}

}  // namespace virt_uv::watch

// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A child process with pipes on its standard input and output. It is ended, by its pid, when its owner goes.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "workload.hpp"

namespace virt_uv::bench {

class Process {
 public:
  explicit Process(std::vector<std::string> argv);
  Process(Process &&other) noexcept;
  Process &operator=(Process &&) = delete;
  ~Process();

  int in() const { return in_; }    // written to: the child's standard input
  int out() const { return out_; }  // read from: its standard output

  // All that it prints. Throws where it has not ended in time, or with another status than 0.
  std::string output(double limit_seconds);

  // Asks it to end, and after the limit ends it.
  void terminate(double limit_seconds);

  // Whether it runs still.
  bool running();

 private:
  bool exited_within(double limit_seconds);

  std::string name_;
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  int status_ = 0;
};

// The path of this program.
std::string own_program();

// What a child printed of its results: print_figures() writes the line, figures_of() finds it among other output.
void print_figures(const Results &results);
Results figures_of(const std::string &output);

}  // namespace virt_uv::bench

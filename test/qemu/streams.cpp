// SPDX-License-Identifier: LGPL-2.1-or-later
//
// libvirt's streams on the loop, non-blocking, with nothing left behind: no watch, no timeout, no fd.
//
//     streams console URI DOMAIN            says "open" on stderr; copies the domain's console to
//                                           stdout, to its end
//     streams large URI POOL                a volume of 64 MiB goes up, comes down, and is the same
//     streams small URI POOL COUNT          so many uploads and downloads, some at a time; every other one is aborted
#include <libvirt/libvirt.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "host.hpp"
#include "stream.hpp"
#include "transfer.hpp"

namespace {

std::string random_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  std::minstd_rand random(1);
  for (char &byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// A volume that lasts as long as this.
class Volume {
 public:
  Volume(virConnectPtr connection, const char *pool_name, const std::string &name, std::size_t size) {
    const std::string xml = "<volume><name>" + name + "</name><capacity>" + std::to_string(size) +
                            "</capacity><target><format type='raw'/></target></volume>";
    virStoragePoolPtr pool = virStoragePoolLookupByName(connection, pool_name);
    if (pool == nullptr) must(-1, pool_name);
    volume_ = virStorageVolCreateXML(pool, xml.c_str(), 0);
    if (volume_ == nullptr) must(-1, "virStorageVolCreateXML");
    virStoragePoolFree(pool);
  }
  ~Volume() {
    must(virStorageVolDelete(volume_, 0), "virStorageVolDelete");
    virStorageVolFree(volume_);
  }
  Volume(const Volume &) = delete;
  Volume &operator=(const Volume &) = delete;

  virStorageVolPtr get() const { return volume_; }

 private:
  virStorageVolPtr volume_;
};

void console(Host &host, const char *name) {
  virDomainPtr domain = virDomainLookupByName(host.connection(), name);
  if (domain == nullptr) must(-1, name);
  {
    Stream stream(host.connection(), [&stream](int) {
      std::array<char, 1024> buffer;
      const int bytes = virStreamRecv(stream.get(), buffer.data(), buffer.size());
      if (bytes == -2) return;
      if (bytes == 0) return stream.finish();
      if (write(STDOUT_FILENO, buffer.data(), must(bytes, "the console")) != bytes)
        fail("stdout", std::strerror(errno));
    });
    must(virDomainOpenConsole(domain, nullptr, stream.get(), VIR_DOMAIN_CONSOLE_FORCE), "virDomainOpenConsole");
    stream.listen(VIR_STREAM_EVENT_READABLE);
    std::fputs("open\n", stderr);
    host.run_until([&stream] { return stream.ended(); });
  }
  virDomainFree(domain);
}

void large(Host &host, const char *pool) {
  const std::string data = random_bytes(64 << 20);
  const Volume volume(host.connection(), pool, "large", data.size());
  for (const Direction direction : {Direction::kUpload, Direction::kDownload}) {
    const Transfer transfer(volume.get(), direction, data, SIZE_MAX);
    host.run_until([&transfer] { return transfer.ended(); });
  }
  std::printf("%zu bytes went up and came down\n", data.size());
}

// One volume, and one transfer after the other: up, up again until it is aborted, down, down until it is aborted.
class Lane {
 public:
  Lane(Host &host, const char *pool, int number, int count)
      : data_(random_bytes(200'000)),
        volume_(host.connection(), pool, "lane-" + std::to_string(number), data_.size()),
        left_(count) {}

  // Begins the next one where the last has ended; false when there is none.
  bool go_on() {
    if (transfer_ != nullptr && !transfer_->ended()) return true;
    transfer_.reset();
    if (left_ == 0) return false;
    const int step = --left_ % 4;
    aborted_ += step % 2 == 0;
    transfer_ = std::make_unique<Transfer>(volume_.get(), step >= 2 ? Direction::kUpload : Direction::kDownload, data_,
                                           step % 2 == 0 ? data_.size() / 2 : SIZE_MAX);
    return true;
  }

  int aborted() const { return aborted_; }

 private:
  const std::string data_;
  const Volume volume_;
  int left_, aborted_ = 0;
  std::unique_ptr<Transfer> transfer_;
};

void small(Host &host, const char *pool, int count) {
  constexpr int kLanes = 10;
  std::vector<std::unique_ptr<Lane>> lanes;
  for (int i = 0; i < kLanes; i++) lanes.push_back(std::make_unique<Lane>(host, pool, i, count / kLanes));
  host.run_until([&lanes] {
    bool ended = true;
    for (const auto &lane : lanes)
      if (lane->go_on()) ended = false;
    return ended;
  });
  int aborted = 0;
  for (const auto &lane : lanes) aborted += lane->aborted();
  std::printf("%d streams, %d aborted\n", count / kLanes * kLanes, aborted);
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 4) fail("usage", "streams console|large|small URI NAME [COUNT]");
  const std::string what = argv[1];
  Host host(argv[2]);
  if (what == "console") console(host, argv[3]);
  if (what == "large") large(host, argv[3]);
  if (what == "small") small(host, argv[3], argc > 4 ? std::atoi(argv[4]) : 1000);
}

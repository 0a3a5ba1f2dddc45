// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Each step of a watch's protocol, from every word that there is: what it changes, what it leaves, and that the
// invariant by which no event is lost holds after it where it held before.
#include "core/watch_state.hpp"
#include "catch.hpp"

using namespace virt_uv::core;

namespace {

constexpr int kId = 5 << 20 | 77;
constexpr std::uint64_t kFlags =
    WatchWord::kDirty | WatchWord::kPolled | WatchWord::kDirect | WatchWord::kDeferred | WatchWord::kElsewhere;

template <typename Fn>
void for_every_word(Fn &&fn) {
  for (const std::uint64_t live : {std::uint64_t{0}, kLive})
    for (std::uint64_t lower = 0; lower < 1u << 13; ++lower) fn(WatchWord(free_word(kId) | live | lower));
}

// "armed covers wanted, or the watch is dirty, or it is deferred", of a live watch.
bool holds(WatchWord word) {
  return !word.is_live() || (word.wanted() & ~word.armed()) == 0 || word.has(WatchWord::kDirty) ||
         word.has(WatchWord::kDeferred);
}

std::uint64_t flags_of(WatchWord word) { return word.bits() & kFlags; }

struct Expected {
  bool made;
  bool live;
  int wanted;
  int armed;
  std::uint64_t flags;
};

// Catch2 would take long to format a million assertions: only what differs is told.
void expect(WatchWord before, const WatchState &state, const Expected &expected) {
  const WatchWord after = state.load();
  const bool same = after.id() == before.id() && after.is_live() == expected.live &&
                    after.wanted() == expected.wanted && after.armed() == expected.armed &&
                    flags_of(after) == expected.flags;
  if (same && (holds(after) || !holds(before))) return;
  INFO("from " << std::hex << before.bits() << " to " << after.bits());
  CHECK(after.is_live() == expected.live);
  CHECK(after.wanted() == expected.wanted);
  CHECK(after.armed() == expected.armed);
  CHECK(flags_of(after) == expected.flags);
  CHECK((holds(after) || !holds(before)));
}

Expected unchanged(WatchWord word) { return {false, word.is_live(), word.wanted(), word.armed(), flags_of(word)}; }

bool has_outgrown(int wanted, int armed) { return (wanted | armed) != armed; }

// And something in. The thread that changes a direct watch's mask tells the kernel itself.
bool leaves_writable_out(WatchWord word, int wanted) {
  return wanted != 0 && (word.armed() & VIR_EVENT_HANDLE_WRITABLE) != 0 && (wanted & VIR_EVENT_HANDLE_WRITABLE) == 0 &&
         !word.has(WatchWord::kDirect);
}

// Takes `step` from every word; `expected` says what comes of it.
template <typename Step, typename Outcome>
void check_step(Step step, Outcome outcome) {
  int words = 0;
  for_every_word([&](WatchWord before) {
    WatchState state(before);
    const WatchChange change = step(state);
    const Expected expected = outcome(before);
    expect(before, state, expected);
    if (change.made != expected.made) FAIL("made from " << std::hex << before.bits());
    if (change.before.bits() != before.bits() || change.after.bits() != state.load().bits())
      FAIL("told otherwise from " << std::hex << before.bits());
    ++words;
  });
  CHECK(words == 16384);
}

}  // namespace

TEST_CASE("update takes the mask, and marks the watch where it is not armed for it, or for WRITABLE in vain") {
  for (int wanted = 0; wanted < 16; ++wanted)
    check_step([=](WatchState &state) { return state.update(kId, wanted); },
               [=](WatchWord word) -> Expected {
                 if (!word.is_live() || word.wanted() == wanted) return unchanged(word);
                 const bool dirty = has_outgrown(wanted, word.armed()) || leaves_writable_out(word, wanted);
                 return {true, true, wanted, word.armed(), flags_of(word) | (dirty ? WatchWord::kDirty : 0)};
               });
}

TEST_CASE("update and remove of another generation's id change nothing") {
  constexpr int kStale = kId - (1 << 20);
  check_step([](WatchState &state) { return state.update(kStale, 1); }, unchanged);
  check_step([](WatchState &state) { return state.remove(kStale); }, unchanged);
}

TEST_CASE("remove ends the watch's life once, silences it, and marks it") {
  check_step([](WatchState &state) { return state.remove(kId); },
             [](WatchWord word) -> Expected {
               if (!word.is_live()) return unchanged(word);
               return {true, false, 0, word.armed(), flags_of(word) | WatchWord::kDirty};
             });
}

TEST_CASE(
    "reconcile clears the marks of a live watch, and arms what has outgrown what is armed, or left WRITABLE out") {
  check_step([](WatchState &state) { return state.reconcile(false); },
             [](WatchWord word) -> Expected {
               if (!word.is_live()) return unchanged(word);
               const std::uint64_t kept = flags_of(word) & ~(WatchWord::kDirty | WatchWord::kDeferred);
               const bool arms = has_outgrown(word.wanted(), word.armed()) || leaves_writable_out(word, word.wanted());
               return {true, true, word.wanted(), arms ? word.wanted() : word.armed(),
                       arms ? kept | WatchWord::kPolled : kept};
             });
}

TEST_CASE("reconcile makes direct what may be, and has left WRITABLE out, and arms what has outgrown what is armed") {
  check_step([](WatchState &state) { return state.reconcile(true); },
             [](WatchWord word) -> Expected {
               if (!word.is_live()) return unchanged(word);
               const std::uint64_t kept = flags_of(word) & ~(WatchWord::kDirty | WatchWord::kDeferred);
               if (has_outgrown(word.wanted(), word.armed()))
                 return {true, true, word.wanted(), word.wanted(), kept | WatchWord::kPolled};
               const bool is_direct = leaves_writable_out(word, word.wanted());
               return {true, true, word.wanted(), word.armed(), is_direct ? kept | WatchWord::kDirect : kept};
             });
}

TEST_CASE("defer disarms, and defers what is not dirty") {
  check_step([](WatchState &state) { return state.defer(); },
             [](WatchWord word) -> Expected {
               const bool is_dirty = word.has(WatchWord::kDirty);
               return {true, word.is_live(), word.wanted(), 0, flags_of(word) | (is_dirty ? 0 : WatchWord::kDeferred)};
             });
}

TEST_CASE("narrow arms a live watch for just what is wanted, where more is armed") {
  check_step([](WatchState &state) { return state.narrow(); },
             [](WatchWord word) -> Expected {
               if (!word.is_live() || (word.armed() & ~word.wanted()) == 0) return unchanged(word);
               return {true, true, word.wanted(), word.wanted(), flags_of(word)};
             });
}

TEST_CASE("a live watch becomes direct where READABLE or WRITABLE is armed and not wanted") {
  check_step([](WatchState &state) { return state.make_direct(); },
             [](WatchWord word) -> Expected {
               if (!word.is_live() || (word.armed() & ~word.wanted() & kReadWrite) == 0) return unchanged(word);
               return {true, true, word.wanted(), word.armed(), flags_of(word) | WatchWord::kDirect};
             });
}

TEST_CASE("a live watch whose loop goes is disarmed, owns its duplicate again, and is dirty if anything is wanted") {
  check_step([](WatchState &state) { return state.leave_loop(); },
             [](WatchWord word) -> Expected {
               if (!word.is_live()) return unchanged(word);
               const std::uint64_t kept = flags_of(word) & ~(WatchWord::kPolled | WatchWord::kDirect);
               return {true, true, word.wanted(), 0, kept | (word.wanted() != 0 ? WatchWord::kDirty : 0)};
             });
}

TEST_CASE("the steps of the loop's thread that always apply change the one flag each") {
  for_every_word([](WatchWord before) {
    const Expected same = unchanged(before);
    WatchState dirty(before), direct(before), noted(before), forgotten(before), disowned(before);
    dirty.make_dirty();
    direct.end_direct();
    noted.note_elsewhere(kId);
    forgotten.end_elsewhere();
    disowned.disown();
    expect(before, dirty,
           {true, same.live, same.wanted, same.armed, (same.flags | WatchWord::kDirty) & ~WatchWord::kDeferred});
    expect(before, direct, {true, same.live, same.wanted, same.armed, same.flags & ~WatchWord::kDirect});
    expect(before, noted,
           {true, same.live, same.wanted, same.armed,
            same.flags | (before.is_live() ? WatchWord::kElsewhere : std::uint64_t{0})});
    expect(before, forgotten, {true, same.live, same.wanted, same.armed, same.flags & ~WatchWord::kElsewhere});
    expect(before, disowned, {true, false, same.wanted, same.armed, same.flags});
  });
}

TEST_CASE("a published watch is live under the slot's id, and dirty unless it is silent") {
  for (int wanted = 0; wanted < 16; ++wanted) {
    WatchState state;
    state.set_free(kId);
    CHECK_FALSE(state.load().is_live());
    const WatchWord word = state.publish(wanted);
    CHECK(word.bits() == state.load().bits());
    CHECK(word.is_live_as(kId));
    CHECK(word.wanted() == wanted);
    CHECK(word.armed() == 0);
    CHECK(flags_of(word) == (wanted != 0 ? WatchWord::kDirty : 0));
  }
}

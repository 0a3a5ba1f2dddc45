/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The protocol of a watch's life, as lib/ has it: WORKERS threads call add, update and remove, in any order and for as
 * long as they like, on one slot, or on two with TWO_SLOTS, each used GENERATIONS times, while the loop's thread
 * reconciles, dispatches, frees, and is given up and taken again (detach, attach). Callbacks, `ff`s and the host's own
 * code call in on the loop's thread. Whatever the kernel or the clock decides may happen at any moment: an fd is ready,
 * arming fails.
 *
 * Every label is a step that another thread can see, and every inline one that only its own thread can; the code names
 * them ("model: UPDATE_SWAP"). What a thread does alone is part of the step before it. A loop around a compare-and-swap
 * is one step, because what it stores depends on the word alone: when the swap succeeds, the word is what was read. A
 * push on the dirty list is one step for the same reason, and an add because all before its last store is behind the
 * mutex or not yet anybody else's.
 *
 * Memory is sequentially consistent here; that the code's weaker orders suffice is argued in doc/threads.md.
 *
 * What is checked, in every reachable state; spin names what it finds violated:
 *
 *     uncovered       a live watch's `wanted` is within `armed`, or it is dirty
 *     lost_wake_up    the loop does not sleep with work to do and no thread about to wake it
 *     late            nor does it sleep until its timer while a watch is dirty, a deferred one included
 *     ff_called       no callback after `ff`, and no `ff` twice; a slot is given back only after it
 *     fd_closed       no fd is closed twice, or used when closed
 *     fd_left_open    none is open once its slot has been given back and no call is under way
 *     fd_polled       none is closed while libuv polls it
 *     fd_masked       the kernel is told of none that is closed, or not libuv's
 *     has_poll        no handle is initialised twice, no slot given back while libuv has its handle
 *     closing         no add takes a handle that is being closed
 *     invalid end     no deadlock
 *
 * Each BREAK_... takes one step out or apart; meson.build says what is found then.
 */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef GENERATIONS
#define GENERATIONS 2 /* how often a slot is used */
#endif
#ifdef TWO_SLOTS
#define SECOND_FREE 2 /* behind the first in the free list */
#else
#define SECOND_FREE NONE
#endif

#define NONE 0 /* indexes of slots start at 1, and so do registrations */

/* A watch's word (lib/core/watch_state.hpp), with two events: enough for masks that overlap and masks that don't. */
#define WANTED(word) ((word) & 3)
#define ARMED(word) (((word) >> 2) & 3)
#define DIRTY 16
#define POLLED 32
#define LIVE 64
#define DEFERRED 128
#define GENERATION(word) ((word) >> 8)
#define WITH_WANTED(word, events) (((word) & ~3) | (events))
#define WITH_ARMED(word, events) (((word) & ~12) | ((events) << 2))
#define COVERS(armed, wanted) (((wanted) & ~(armed)) == 0)
/* The second event is WRITABLE, which would come at once, unless the thread that changes the mask tells the kernel. */
#define SERVES(armed, wanted, is_direct) \
  (COVERS(armed, wanted) && ((is_direct) || (wanted) == 0 || ((armed) & ~(wanted) & 2) == 0))
#define IS_LIVE(word) (((word) & LIVE) != 0)
#define IS_LIVE_AS(word, generation) (IS_LIVE(word) && GENERATION(word) == (generation))

/* Every add gets a number of its own, which is its opaque and its duplicate fd too. */
#define REGISTRATION(slot) (((slot) - 1) * GENERATIONS + GENERATION(word[slot]) + 1)

/* --- The slot table: any thread --- */
short word[3];
byte next[3] = { NONE, SECOND_FREE, NONE }; /* in the one list that a slot is in */
byte dup[3];
byte opaque[3];
bit direct[3];
byte asked[3]; /* what the kernel is asked for of a direct watch, whatever libuv believes */
bit has_masks = 1; /* KernelMask is open */
byte free_list = 1;
byte parked; /* Watches::parked_ */
bit mutex;  /* SlotTable::mutex() */
byte dirty; /* the dirty list's head */
bit requested; /* RetryList::requested_ */

/* --- The waker: any thread --- */
bit sent;
bit has_wake_fd = 1; /* Waker::wake_fd_ is set */
bit wake_pending;

/* --- The loop's thread --- */
bit inside;
bit freed[3];
bit warm[3]; /* its handle is kept for another watch */
byte to_free;
byte deferred;
bit due; /* the time of what is deferred has come */
bit resting[3];
bit idle;  /* uv_idle_t is active: the loop does not sleep */
bit timer; /* uv_timer_t is, for what is deferred or rests */
bit check; /* uv_check_t is */
bit asleep;

/* --- libuv's handles --- */
bit has_poll[3];
bit closing[3];
byte polled[3]; /* what uv_poll_start() was asked for; 0: stopped */
byte polled_fd[3];

/* --- What the properties speak of --- */
bit fd_closed[2 * GENERATIONS + 1];
bit ff_called[2 * GENERATIONS + 1];
byte calling; /* workers within a call */
/* None of these is ever 1. */
bit uncovered;
bit lost_wake_up;
bit late;
bit fd_left_open;
bit fd_polled;
bit fd_masked;

#define IS_UNCOVERED(slot) \
  (IS_LIVE(word[slot]) && !(word[slot] & (DIRTY | DEFERRED)) && !COVERS(ARMED(word[slot]), WANTED(word[slot])))

#define IS_PARKED(slot) (freed[slot] && warm[slot])

/* Live and carried by libuv, or free, or parked. */
#define IS_SETTLED(slot) \
  (IS_LIVE(word[slot]) -> \
    (word[slot] & (DIRTY | DEFERRED)) == 0 && polled[slot] == ARMED(word[slot]) && \
      (!direct[slot] || COVERS(asked[slot], WANTED(word[slot]))) : \
    (word[slot] & DIRTY) == 0 || IS_PARKED(slot))

#define HAS_WORK (dirty != NONE || to_free != NONE || !IS_SETTLED(1) || !IS_SETTLED(2))
#define IS_LATE(slot) ((word[slot] & DIRTY) && !IS_PARKED(slot) && !(wake_pending || idle || closing[1] || closing[2]))
#define WILL_WAKE (wake_pending || idle || timer || closing[1] || closing[2])
/* Its slot has been given back, and is used by nobody or by the next. */
#define IS_LEFT_OPEN(slot) (freed[slot] && (!has_poll[slot] || warm[slot]) && !fd_closed[opaque[slot]])
#define IS_POLLED(slot, fd) (has_poll[slot] && !closing[slot] && polled_fd[slot] == (fd))

active proctype properties() {
end:
  if
  :: atomic { IS_UNCOVERED(1) || IS_UNCOVERED(2) -> uncovered = 1; assert(!uncovered) }
  :: atomic { asleep && calling == 0 && HAS_WORK && !WILL_WAKE -> lost_wake_up = 1; assert(!lost_wake_up) }
  :: atomic { asleep && calling == 0 && (IS_LATE(1) || IS_LATE(2)) -> late = 1; assert(!late) }
  :: atomic { calling == 0 && (IS_LEFT_OPEN(1) || IS_LEFT_OPEN(2)) -> fd_left_open = 1; assert(!fd_left_open) }
  fi
}

/* --- Steps that any thread does alone --- */

inline push(list, slot_) {
  next[slot_] = list;
  list = slot_
}

inline take_first(slot_, list) {
  slot_ = list;
  list = next[slot_];
  next[slot_] = NONE
}

inline close_fd(fd_) {
  assert(fd_ != NONE && !fd_closed[fd_]);
  fd_polled = IS_POLLED(1, fd_) || IS_POLLED(2, fd_);
  assert(!fd_polled);
  fd_closed[fd_] = 1
}

/* uv_close() */
inline close_poll(slot_) {
  if
  :: has_poll[slot_] && !closing[slot_] -> closing[slot_] = 1; polled[slot_] = 0
  :: else
  fi
}

/* KernelMask::leave_to_libuv() */
inline leave_to_libuv(slot_) {
  direct[slot_] = 0;
  asked[slot_] = 0
}

/* KernelMask::bring_in_line(). What others change while it holds the lock, it brings in line before it lets go. */
inline bring_in_line(slot_, generation_) {
  if
#ifdef BREAK_LIVE
  :: has_masks && ARMED(word[slot_]) ->
#else
  :: has_masks && IS_LIVE_AS(word[slot_], generation_) && direct[slot_] && ARMED(word[slot_]) ->
#endif
     fd_masked = (fd_closed[dup[slot_]] || !IS_POLLED(slot_, dup[slot_]));
     assert(!fd_masked);
     asked[slot_] = WANTED(word[slot_]) & ARMED(word[slot_])
  :: else
  fi
}

/* KernelMask::withhold_all() */
inline may_rest(slot_) {
#ifdef RESTS
  has_masks && IS_LIVE(word[slot_]) && direct[slot_] && ARMED(word[slot_]) ->
  asked[slot_] = 0;
  resting[slot_] = 1
#else
  false
#endif
}

/* Rests::end(); what rests by now may be another watch */
inline end_rest(slot_) {
  if
  :: resting[slot_] -> resting[slot_] = 0; bring_in_line(slot_, GENERATION(word[slot_]))
  :: else
  fi
}

/* Polls::keep(): the placeholder takes the file's place, which closes it. */
inline keep(slot_) {
  polled[slot_] = 0;
#ifndef BREAK_KEEP
  polled_fd[slot_] = NONE;
  close_fd(dup[slot_]);
#endif
  dup[slot_] = NONE;
  warm[slot_] = 1
}

inline let_go(slot_) {
  close_poll(slot_);
  if
#ifdef BREAK_RELEASE
  :: (word[slot_] & POLLED) -> close_fd(dup[slot_])
#else
  :: (word[slot_] & POLLED) && dup[slot_] != NONE -> close_fd(dup[slot_]); dup[slot_] = NONE
#endif
  :: else
  fi
}

#define MAY_BE_KEPT(slot) \
  (has_wake_fd && has_poll[slot] && !closing[slot] && GENERATION(word[slot]) + 1 < GENERATIONS)

/* Polls::release(); nobody else touches what the watch has on the loop, nor its fd once it is not live. */
inline release(slot_) {
  leave_to_libuv(slot_);
  if
  :: warm[slot_]
  :: !warm[slot_] && MAY_BE_KEPT(slot_) -> keep(slot_)
  :: !warm[slot_] -> let_go(slot_) /* too many are kept */
  fi
}

/* --- A call of libvirt's --- */

inline choose_mask() {
  if
  :: mask = 0
  :: mask = 1
#ifndef ONE_EVENT
  :: mask = 2
  :: mask = 3
#endif
  fi
}

/* Any id that was handed out, stale ones among them. */
inline choose_id() {
  if
  :: slot = 1
  :: slot = 2
  fi;
  do
  :: generation < GENERATION(word[slot]) -> generation++
  :: break
  od
}

inline begin_call(on_loop) { calling = calling + !on_loop }

inline end_call(on_loop) {
  slot = NONE;
  calling = calling - !on_loop;
  goto RETURN
}

inline clear_choice() {
  generation = 0;
  mask = 0;
  old = 0
}

/* Waker::request_check() */
inline request_check() { check = 1 }

inline wake(on_loop) {
  if
  :: on_loop && inside -> request_check(); end_call(on_loop)
  :: else -> goto WAKE_SENT
  fi
}

/* Instance::remove_handle(), after the push */
inline release_inside(on_loop) {
  if
  :: removes && on_loop && inside -> release(slot)
  :: else
  fi;
  removes = 0
}

/* A call's last steps, when the watch is told of. */
inline told(on_loop) {
  clear_choice();
  release_inside(on_loop);
  if
  :: wakes -> wakes = 0; wake(on_loop)
  :: else -> end_call(on_loop)
  fi
}

/* Watches::mark_changed() */
inline mark_changed(on_loop) {
  if
  :: pushes && (word_after & DEFERRED) -> pushes = 0; word_after = 0; goto REQUEST
  :: pushes && !(word_after & DEFERRED) -> pushes = 0; word_after = 0; goto PUSH
  :: else -> word_after = 0; goto FOLLOW
  fi
}

/* Watches::update(): `old` is the word that it judges by. */
inline update(on_loop) {
  word[slot] = WITH_WANTED(word[slot], mask) | (SERVES(ARMED(old), mask, direct[slot]) -> 0 : DIRTY);
  word_after = word[slot];
  pushes = (!(old & DIRTY) && (word_after & DIRTY));
  wakes = pushes;
#ifndef BREAK_FOLLOW
  tells_kernel = direct[slot];
#endif
  mask = 0;
  old = 0;
  mark_changed(on_loop)
}

/* One call of libvirt's, by the loop's thread or by another; goes on at RETURN. */
inline libvirt_calls(on_loop) {
  if
  :: atomic { /* ADD_PUBLISH */
       begin_call(on_loop);
       !mutex;
       if
       :: parked != NONE ->
          take_first(slot, parked);
          assert(!closing[slot]);
          warm[slot] = 0;
#ifdef BREAK_WARM
          word[slot] = (GENERATION(word[slot]) + 1) << 8;
#else
          word[slot] = (GENERATION(word[slot]) + 1) << 8 | POLLED;
#endif
          polled_fd[slot] = REGISTRATION(slot)
       :: parked == NONE && free_list == NONE -> end_call(on_loop)
       :: parked == NONE && free_list != NONE -> take_first(slot, free_list); assert(!has_poll[slot])
       fi;
       opaque[slot] = REGISTRATION(slot);
       dup[slot] = opaque[slot];
       freed[slot] = 0;
       choose_mask();
       word[slot] = word[slot] | LIVE | mask | (mask != 0 -> DIRTY : 0);
       wakes = 1;
       if
       :: mask != 0 -> clear_choice(); goto PUSH
       :: else -> told(on_loop)
       fi
     }
  :: atomic { /* UPDATE_SWAP */
       choose_id();
       choose_mask();
       old = word[slot];
       if
       :: !IS_LIVE_AS(old, generation) || WANTED(old) == mask -> clear_choice(); slot = NONE; goto RETURN
       :: else -> begin_call(on_loop)
       fi;
#ifdef BREAK_UPDATE
       goto UPDATE_LATE
#else
       update(on_loop)
#endif
     }
  :: atomic { /* REMOVE_SWAP */
       choose_id();
       if
       :: !IS_LIVE_AS(word[slot], generation) -> clear_choice(); slot = NONE; goto RETURN
       :: else -> begin_call(on_loop)
       fi;
       removes = 1;
       wakes = 1;
       pushes = !(word[slot] & DIRTY);
#ifdef BREAK_REMOVE
       pushes = 1;
#endif
       fd = (word[slot] & POLLED -> NONE : dup[slot]);
       word[slot] = (WITH_WANTED(word[slot], 0) & ~LIVE) | DIRTY;
       word_after = word[slot];
       clear_choice();
       if
       :: fd != NONE -> goto REMOVE_CLOSE
       :: else -> mark_changed(on_loop)
       fi
     }
  fi;
#ifdef BREAK_UPDATE
UPDATE_LATE:
  atomic { update(on_loop) }
#endif
REMOVE_CLOSE:
  atomic {
#ifdef BREAK_DUP
    fd = dup[slot];
#endif
    close_fd(fd);
    fd = NONE;
    mark_changed(on_loop)
  }
REQUEST:
  atomic {
#ifndef BREAK_REQUEST
    requested = 1;
#endif
    goto FOLLOW
  }
PUSH:
  atomic { push(dirty, slot); goto FOLLOW }
FOLLOW:
  atomic {
    if
    :: tells_kernel -> tells_kernel = 0; bring_in_line(slot, generation)
    :: else
    fi;
    told(on_loop)
  }
WAKE_SENT:
  atomic {
    if
    :: sent -> end_call(on_loop)
    :: else -> sent = 1
    fi
  }
WAKE_SEND:
  atomic {
    if
    :: has_wake_fd -> wake_pending = 1
    :: else
    fi;
    end_call(on_loop)
  }
}

active [WORKERS] proctype worker() {
  byte slot, generation, mask, fd;
  short old, word_after;
  bit pushes, removes, wakes, tells_kernel;

RETURN:
  do
  :: libvirt_calls(false)
  :: break
  od
}

/* --- The loop's thread --- */

/* SlotTable::give(), with the mutex. */
inline give(slot_) {
  assert(!has_poll[slot_]);
  assert(ff_called[opaque[slot_]]);
  word[slot_] = (GENERATION(word[slot_]) + 1) << 8;
  if
  :: GENERATION(word[slot_]) < GENERATIONS -> push(free_list, slot_)
  :: else
  fi
}

mtype = { HOST, CALLBACK, FREE };     /* from where a call comes in */
mtype = { RECONCILE, NARROW, REARM }; /* what a watch is armed for */
/* what is reconciled or freed in */
mtype = { TIMER, PREPARED, CHECK, CHECKED, DETACHING, CLOSED };

inline enter(phase_) {
  inside = 1;
  phase = phase_
}

inline leave() { inside = 0 }

inline end_on_poll() {
#ifndef BREAK_LEAVE
  leave();
#endif
  watch = NONE;
  goto POLL
}

/* uv_run() begins an iteration. The timer may be due whenever it is active. */
inline begin_iteration() {
  if
  :: timer -> enter(TIMER); due = 1; goto ACKNOWLEDGE
  :: true -> goto PREPARE
  fi
}

/* A callback, an `ff` or code of the host's runs, and may call in. */
inline call_out(caller_) {
  caller = caller_;
  goto CALLED
}

inline next_free() {
  if
  :: frees != NONE ->
     take_first(freeing, frees);
     goto GIVE_FREED
  :: frees == NONE && phase == CLOSED -> goto ATTACH
  :: frees == NONE && phase != CLOSED && detached -> goto ON_CLOSED
  :: frees == NONE && phase != CLOSED && !detached -> phase = CHECKED; goto ACKNOWLEDGE
  fi
}

inline run_frees() {
  frees = to_free;
  to_free = NONE;
  next_free()
}

inline reconciled() {
  watch = NONE;
  why = 0;
#ifdef BREAK_REST
  timer = (deferred != NONE);
#else
  timer = (deferred != NONE || resting[1] || resting[2]);
#endif
  check = (to_free != NONE);
#ifndef BREAK_IDLE
  idle = (to_free != NONE);
#endif
  if
  :: phase == TIMER -> leave(); goto PREPARE
  :: phase == PREPARED -> call_out(HOST)
  :: phase == CHECK -> run_frees()
  :: phase == CHECKED -> leave(); goto ON_CLOSED
  :: phase == DETACHING -> phase = phase_of_call; phase_of_call = 0; goto DETACH
  fi
}

inline next_dirty() {
  if
  :: list == NONE && retrying -> retrying = 0; goto TRIM
  :: list == NONE && !retrying -> reconciled()
  :: else -> take_first(watch, list); goto RECONCILE_SWAP
  fi
}

inline armed() {
  arms = 0;
  if
  :: why == RECONCILE -> next_dirty()
  :: why == NARROW -> why = 0; end_on_poll()
  :: why == REARM -> why = 0; goto DISPATCH
  fi
}

/* What libuv has told the kernel is so, until a thread tells it otherwise. */
inline make_direct() {
  if
  :: !direct[watch] -> direct[watch] = 1; asked[watch] = ARMED(word[watch])
  :: else
  fi
}

/* Polls::arm(): uv_poll_init() where need be, uv_poll_start(). */
inline arm(why_) {
  why = why_;
  if
  :: goto DEFER_SWAP /* no memory, no room in the kernel */
  :: true
  fi;
  assert(!closing[watch]);
  assert(!fd_closed[dup[watch]]);
  if
  :: !has_poll[watch] -> has_poll[watch] = 1; polled_fd[watch] = dup[watch]
  :: else
  fi;
  assert(polled_fd[watch] == dup[watch]);
  leave_to_libuv(watch);
  polled[watch] = arms;
  armed()
}

/* on_poll(), when the bits are known. */
inline dispatch() {
  if
  :: (events & WANTED(word[watch])) == 0 -> events = 0; goto DIRECT_SWAP
  :: else -> events = 0
  fi;
  assert(!ff_called[opaque[watch]]);
  call_out(CALLBACK)
}

active proctype the_loop() {
  byte slot, generation, mask, fd; /* of a call that comes in */
  short old, word_after;
  bit pushes, removes, wakes, tells_kernel;
  mtype caller, phase, phase_of_call, why;
  byte watch, events, arms;  /* at hand */
  byte list, frees, freeing; /* taken, and not yet done */
  bit detached, retrying;

  atomic { begin_iteration() }

  /* --- Reconciler::on_prepare() --- */
PREPARE:
  atomic {
    if
#ifndef BREAK_HEARING
    :: sent -> phase = PREPARED; goto ACKNOWLEDGE
#endif
    :: else -> call_out(HOST)
    fi
  }

  /* --- Reconciler::reconcile() --- */
ACKNOWLEDGE:
#ifndef BREAK_SENT
  sent = 0;
#endif
  /* --- Rests::reconcile(): which callbacks read nothing is anybody's guess --- */
REST:
  atomic {
    if
    :: may_rest(1)
    :: may_rest(2)
    :: true
    fi
  }
END_REST:
  atomic {
    if
    :: due -> end_rest(1); end_rest(2)
    :: else
    fi
  }
TAKE_REQUEST:
  atomic {
    if
    :: requested || due ->
       requested = 0;
       due = 0;
       list = deferred;
       deferred = NONE;
       retrying = 1;
       next_dirty()
    :: else
    fi
  }
  /* What is parked may be closed at any time; in one step with the mutex, and so are all of them. */
TRIM:
  atomic {
    !mutex;
    do
    :: parked != NONE -> take_first(watch, parked); warm[watch] = 0; close_poll(watch)
    :: watch = NONE; break
    od
  }
TAKE_DIRTY:
  atomic {
    list = dirty;
    dirty = NONE;
    next_dirty()
  }
RECONCILE_SWAP:
  atomic {
    if
    :: !IS_LIVE(word[watch]) -> release(watch); push(to_free, watch); next_dirty()
    :: else
    fi;
    arms = (SERVES(ARMED(word[watch]), WANTED(word[watch]), direct[watch]) -> 0 : WANTED(word[watch]));
    word[watch] = word[watch] & ~(DIRTY | DEFERRED);
    if
    :: arms == 0 -> next_dirty()
    :: arms != 0 && COVERS(ARMED(word[watch]), arms) -> arms = 0; make_direct(); goto DIRECT /* a socket */
    :: arms != 0
    fi;
#ifdef BREAK_POLLED
    word[watch] = WITH_ARMED(word[watch], arms);
#else
    word[watch] = WITH_ARMED(word[watch], arms) | POLLED;
#endif
    arm(RECONCILE)
  }

DIRECT:
  atomic { bring_in_line(watch, GENERATION(word[watch])); next_dirty() }

  /* --- Polls::defer() --- */
DEFER_SWAP:
  atomic {
    leave_to_libuv(watch);
    polled[watch] = 0;
    if
#ifndef BREAK_DEFER
    :: word[watch] & DIRTY -> word[watch] = WITH_ARMED(word[watch], 0)
#endif
    :: else ->
       word[watch] = WITH_ARMED(word[watch], 0) | DEFERRED;
       push(deferred, watch);
#ifndef BREAK_TIMED
       request_check()
#endif
    fi;
    armed()
  }

  /* --- uv__io_poll() --- */
SLEEP:
  asleep = 1;
end_poll:
POLL:
  atomic {
    if
    :: wake_pending ->
       asleep = 0;
       wake_pending = 0;
#ifndef BREAK_HEARING
       request_check();
#endif
       goto POLL
    :: idle || timer || closing[1] || closing[2] || !asleep ->
       asleep = 0;
       if
       :: check && !detached -> enter(CHECK); goto ACKNOWLEDGE
       :: else -> goto ON_CLOSED
       fi
    :: polled[1] -> watch = 1
    :: polled[2] -> watch = 2
    fi;
    asleep = 0;
    inside = 1;
    if
    :: events = polled[watch]
    :: polled[watch] == 3 -> events = 1
    :: polled[watch] == 3 -> events = 2
    fi;
    if
    :: dispatch()
    :: polled[watch] = 0; goto REARM_LOAD /* an error status: libuv has stopped it */
    fi
  }

  /* --- Polls::true_events() --- */
REARM_LOAD:
  atomic {
    if
    :: !IS_LIVE(word[watch]) || ARMED(word[watch]) == 0 -> goto DISPATCH
    :: else
    fi;
#ifdef BREAK_REARM
    arms = WANTED(word[watch]);
#else
    arms = ARMED(word[watch]);
#endif
    arm(REARM)
  }
DISPATCH:
  atomic { dispatch() }

  /* --- Polls::narrow(); from a socket the kernel withholds what is not wanted, if it has it in epoll --- */
DIRECT_SWAP:
  atomic {
    if
    :: IS_LIVE(word[watch]) && (ARMED(word[watch]) & ~WANTED(word[watch])) -> make_direct(); goto TELL_AGAIN
    :: goto NARROW_SWAP
    fi
  }
TELL_AGAIN:
  atomic {
    if
    :: bring_in_line(watch, GENERATION(word[watch])); end_on_poll()
    :: true
    fi
  }
NARROW_SWAP:
#ifdef BREAK_NARROW
  atomic { old = word[watch]; goto NARROW_STORE }
NARROW_STORE:
#endif
  atomic {
#ifndef BREAK_NARROW
    old = word[watch];
#endif
    if
    :: !IS_LIVE(old) -> old = 0; end_on_poll()
    :: IS_LIVE(old) && COVERS(WANTED(old), ARMED(old)) -> old = 0; end_on_poll()
    :: IS_LIVE(old) && COVERS(WANTED(old), ARMED(old)) && ARMED(old) -> old = 0; why = NARROW; goto DEFER_SWAP
    :: else
    fi;
    arms = WANTED(old);
    old = 0;
    word[watch] = WITH_ARMED(word[watch], arms);
    if
    :: arms == 0 -> leave_to_libuv(watch); polled[watch] = 0; end_on_poll()
    :: else -> arm(NARROW)
    fi
  }

  /* --- uv__run_closing_handles() --- */
ON_CLOSED:
  atomic {
    if
    :: closing[1] -> watch = 1
    :: closing[2] -> watch = 2
    :: !closing[1] && !closing[2] && detached -> phase = CLOSED; run_frees()
    :: !closing[1] && !closing[2] && !detached -> begin_iteration()
    fi;
    has_poll[watch] = 0;
    closing[watch] = 0;
    polled_fd[watch] = NONE;
    if
    :: freed[watch] -> goto GIVE_CLOSED
    :: else -> watch = NONE; goto ON_CLOSED
    fi
  }
GIVE_CLOSED:
  atomic { !mutex -> give(watch); watch = NONE; goto ON_CLOSED }

  /* --- Watches::run_frees(), before `ff` --- */
GIVE_FREED:
  atomic {
    !mutex;
    assert(!ff_called[opaque[freeing]]);
    ff_called[opaque[freeing]] = 1;
    freed[freeing] = 1;
    if
    :: warm[freeing] -> push(parked, freeing)
#ifndef BREAK_GIVE_BACK
    :: !warm[freeing] && has_poll[freeing]
#endif
    :: else -> give(freeing)
    fi;
    freeing = NONE;
#ifdef BREAK_LOCK
    mutex = 1;
#endif
    call_out(FREE)
  }

  /* --- Calls that come in on the loop's thread --- */
CALLED:
  if
  :: atomic { /* Reconciler::close() */
       !detached -> phase_of_call = phase;
       phase = DETACHING;
       goto ACKNOWLEDGE
     }
  :: goto RETURN
  :: libvirt_calls(true)
  fi;
RETURN:
  atomic {
    if
    :: caller == HOST && detached -> caller = 0; goto ON_CLOSED
    :: caller == HOST && !detached -> caller = 0; phase = 0; goto SLEEP
    :: caller == CALLBACK -> caller = 0; end_on_poll()
    :: caller == FREE ->
       caller = 0;
#ifdef BREAK_LOCK
       mutex = 0;
#endif
       next_free()
    fi
  }

  /* --- Instance::detach() --- */
DETACH:
  atomic {
    detached = 1;
    leave();
    has_wake_fd = 0;
#ifndef BREAK_PARKED
    parked = NONE;
#endif
    wake_pending = 0;
    idle = 0;
    timer = 0;
    check = 0;
    resting[1] = 0;
    resting[2] = 0
  }
UNDEFER_SWAP:
  atomic {
    if
#ifdef BREAK_UNDEFER
    :: deferred != NONE -> deferred = NONE; goto UNDEFER_SWAP
#else
    :: deferred != NONE ->
       take_first(watch, deferred);
       word[watch] = (word[watch] & ~DEFERRED) | DIRTY;
       push(dirty, watch);
       goto UNDEFER_SWAP
#endif
    :: else -> has_masks = 0; watch = 1
    fi
  }
  /* Polls::leave(); each slot is a batch of its own here, so that others come between them. */
LEAVE_SWAP:
  atomic {
    !mutex -> mutex = 1;
    warm[watch] = 0;
#ifndef BREAK_LEAVE_POLL
    close_poll(watch);
#endif
    leave_to_libuv(watch);
    if
    :: !IS_LIVE(word[watch]) -> release(watch); goto LEFT
    :: else
    fi;
    pushes = (WANTED(word[watch]) != 0 && !(word[watch] & DIRTY));
    word[watch] = (WITH_ARMED(word[watch], 0) & ~POLLED) | (pushes -> DIRTY : 0);
    if
    :: pushes -> pushes = 0; goto LEAVE_PUSH
    :: else -> goto LEFT
    fi
  }
LEAVE_PUSH:
  atomic { push(dirty, watch); goto LEFT }
LEFT:
  atomic {
    close_poll(watch);
    mutex = 0;
    if
    :: watch == 1 -> watch = 2; goto LEAVE_SWAP
    :: else -> watch = NONE; goto RETURN
    fi
  }

  /* --- Instance::attach() --- */
ATTACH:
  atomic {
    detached = 0;
    has_wake_fd = 1;
    has_masks = 1;
    sent = 0
  }
ATTACHED:
  atomic {
    if
    :: sent
    :: else -> sent = 1; wake_pending = 1
    fi;
    begin_iteration()
  }
}

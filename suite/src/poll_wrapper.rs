//! The poll wrapper: how long one uninterrupted poll of a task held its loop.
//!
//! It costs two stamps and a few stores a poll, or under a load mostly the stores alone; never a
//! lock, and hardly ever a system call. It sees every task of the suite and nothing else: what a
//! runtime does between polls is not its business.

mod interval;
mod unread;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::task::Poll;

use crate::board::{Board, LoopSlot, Stall};
use crate::clock::{ClockScale, Stamp, stamp};
use crate::thread_times::{self, ThreadTimes};
use interval::Interval;
use unread::{Sharers, Unread};

const MS: u64 = 1_000_000;
/// What a thread has spent its time on is read at the beginning of a poll when the last reading
/// is older than this, and at the end of a stall. Reading around every poll would cost a third
/// of an echo's throughput. This way the split of a stall is off by what happened in between
/// outside of polls: a runtime that searches for work, or a wait for a CPU.
const READING_AGE_MAX_NS: u64 = MS / 5;
/// On a loop that never rests, what happens between polls is known: it runs, or waits for a CPU,
/// in the shares of the last reading. Then a reading may be this old …
const READING_AGE_MAX_RESTLESS_NS: u64 = MS;
/// … and this old on one that has a CPU to itself, so that there is nothing to share out.
const READING_AGE_MAX_ALONE_NS: u64 = 4 * MS;
/// The share of its time awake that such a loop runs, in 1,024ths.
const ALONE_SHARE_MIN: u64 = 1_014;
/// So many readings have to find a loop restless before it counts as one: a single long poll would
/// make it look so. One that finds it at rest weighs as much as all of these, and of twice as many
/// no more is remembered: a restless loop may rest once, and does not twice.
const RESTLESS_READINGS: u32 = 8;
/// The share of the time that a restless loop may be asleep, as one in so many.
const REST_MAX_ONE_IN: u64 = 32;
/// With many loops on few CPUs each polls seldom, and would read every time: all loops together
/// make some ten readings a millisecond, which take a hundredth of one CPU.
const LOOPS_PER_READING: u64 = 2;

/// Where polls are accounted for.
pub struct Meter {
    board: &'static Board,
    scale: ClockScale,
    /// The least that is looked at more closely.
    ticks_long: u64,
    reading_age_max: u64,
    reading_age_max_restless: u64,
    reading_age_max_alone: u64,
    threshold_ns: u64,
    unread: Unread,
    /// Off in a plan that wants to know what this costs.
    on: bool,
}

/// What a thread remembers between its polls. Nothing in it has to be dropped, so reaching it
/// costs no check.
struct Here {
    slot: Cell<Option<&'static LoopSlot>>,
    /// When the times below were read, and when they are too old.
    read_at: Cell<Stamp>,
    reading_due: Cell<Stamp>,
    times: Cell<ThreadTimes>,
    /// For the readings that found the thread restless, and against those that did not; and what of
    /// its time awake it had a CPU, in 1,024ths.
    restless: Cell<u32>,
    running_share: Cell<u64>,
    /// Ticks spent in polls since they were read.
    polled: Cell<u64>,
    sharers: Sharers,
}

/// This thread's slot, given back when the thread ends.
struct Seat {
    board: &'static Board,
    slot: &'static LoopSlot,
}

impl Drop for Seat {
    fn drop(&mut self) {
        HERE.with(|here| here.slot.set(None));
        self.board.give_back(self.slot);
    }
}

thread_local! {
    static HERE: Here = const {
        Here {
            slot: Cell::new(None),
            read_at: Cell::new(0),
            reading_due: Cell::new(0),
            times: Cell::new(ThreadTimes { cpu_ns: 0, run_queue_ns: 0 }),
            restless: Cell::new(0),
            running_share: Cell::new(0),
            polled: Cell::new(0),
            sharers: Sharers::none(),
        }
    };
    static SEAT: RefCell<Option<Seat>> = const { RefCell::new(None) };
}

impl Here {
    fn is_restless(&self) -> bool {
        self.restless.get() >= RESTLESS_READINGS
    }

    /// Takes in what a new reading says of the time since the last one.
    fn finds_restless(&self, spent: ThreadTimes, wall_ns: u64, late: bool) -> bool {
        let awake_ns = spent.cpu_ns + spent.run_queue_ns;
        let restless = wall_ns.saturating_sub(awake_ns) <= wall_ns / REST_MAX_ONE_IN;
        let before = self.restless.get();
        self.restless.set(match restless {
            true => (before + 1).min(2 * RESTLESS_READINGS),
            false if late => before.saturating_sub(1),
            false => before.saturating_sub(RESTLESS_READINGS),
        });
        self.running_share.set(spent.cpu_ns * 1_024 / awake_ns.max(1));
        self.is_restless()
    }
}

impl Meter {
    pub fn new(board: &'static Board, scale: ClockScale, threshold_ns: u64) -> Self {
        Self {
            board,
            scale,
            ticks_long: scale.ticks(MS.min(threshold_ns)),
            reading_age_max: scale.ticks(READING_AGE_MAX_NS),
            reading_age_max_restless: scale.ticks(READING_AGE_MAX_RESTLESS_NS),
            reading_age_max_alone: scale.ticks(READING_AGE_MAX_ALONE_NS),
            threshold_ns,
            unread: Unread::new(scale, threshold_ns),
            on: true,
        }
    }

    pub(crate) fn only_if(self, on: bool) -> Self {
        Self { on, ..self }
    }

    /// Runs `poll` as one poll of a task on this thread.
    #[inline(always)]
    pub fn poll<T>(&self, poll: impl FnOnce() -> T) -> T {
        if !self.on {
            return poll();
        }
        // Looked up once: in a library that is loaded at run time this is a call.
        HERE.with(|here| {
            let Some(slot) = self.slot(here) else { return poll() };
            // A loop run inside a task polls other tasks while the outer poll is going on.
            let outer = slot.poll_started.load(Relaxed);
            self.begin(here, slot);
            let result = poll();
            self.end(here, slot);
            if outer != 0 {
                slot.poll_started.store(outer, Relaxed);
            }
            result
        })
    }

    /// One operation of the plan's first group has ended on this thread.
    #[inline]
    pub(crate) fn count_operation(&self) {
        HERE.with(|here| {
            if let Some(slot) = self.slot(here) {
                // An atomic addition would wait for every store before it.
                slot.operations.store(slot.operations.load(Relaxed) + 1, Relaxed);
            }
        });
    }

    /// An operation begins that waits inside its call: its time is not the poll's …
    pub(crate) fn pause(&self) {
        HERE.with(|here| self.slot(here).map(|slot| self.end(here, slot)));
    }

    /// … and ends: from here on it is again.
    pub(crate) fn resume(&self) {
        if !self.on {
            return;
        }
        HERE.with(|here| self.slot(here).map(|slot| self.begin(here, slot)));
    }

    /// This thread's slot; none when the thread is already ending.
    #[inline]
    fn slot(&self, here: &Here) -> Option<&'static LoopSlot> {
        here.slot.get().or_else(|| self.take_seat(here))
    }

    #[cold]
    fn take_seat(&self, here: &Here) -> Option<&'static LoopSlot> {
        let slot = SEAT.try_with(|seat| {
            let mut seat = seat.borrow_mut();
            seat.get_or_insert_with(|| Seat { board: self.board, slot: self.board.take_slot() })
                .slot
        });
        here.slot.set(slot.ok());
        slot.ok()
    }

    #[inline(always)]
    fn begin(&self, here: &Here, slot: &LoopSlot) {
        let beat = self.board.beat();
        let started = here.sharers.started(beat).unwrap_or_else(|| {
            let mut now = stamp();
            if now >= here.reading_due.get() {
                now = self.read_times(here, now);
            }
            if here.sharers.are_allowed() {
                here.sharers.begin(now, beat, self.unread);
            }
            now
        });
        slot.poll_started.store(started, Relaxed);
    }

    #[inline(always)]
    fn end(&self, here: &Here, slot: &LoopSlot) {
        let started = slot.poll_started.load(Relaxed);
        if started == 0 {
            return;
        }
        // One thread writes a slot, so no atomic addition is needed.
        slot.polls.store(slot.polls.load(Relaxed) + 1, Relaxed);
        if !here.sharers.are_allowed() || !self.unread.is_short(started, self.board.beat()) {
            self.read_end(here, slot, started);
        }
        // Last: until a stall is kept, the parent sees it as one that is still going on.
        slot.poll_started.store(0, Release);
    }

    #[inline]
    fn read_end(&self, here: &Here, slot: &LoopSlot, started: Stamp) {
        let now = stamp();
        let ticks = now.saturating_sub(started);
        here.polled.set(here.polled.get() + ticks);
        here.sharers.end();
        if ticks >= self.ticks_long {
            self.note_long_poll(here, slot, started, now);
        }
    }

    #[cold]
    fn read_times(&self, here: &Here, now: Stamp) -> Stamp {
        let since_ns = self.scale.ns_between(here.read_at.get(), now);
        let times = thread_times::read_after(here.times.get(), since_ns);
        let spent = times.since(here.times.get());
        let due = here.reading_due.get();
        // Held up by one long absence, it says little of what the loop does between its polls.
        let late = now.saturating_sub(due) >= due.saturating_sub(here.read_at.get());
        here.finds_restless(spent, since_ns, late);
        // A thread that lost its CPU in here has waited before its poll, and not in it.
        let now = stamp();
        self.keep_times(here, now, times);
        now
    }

    fn keep_times(&self, here: &Here, now: Stamp, times: ThreadTimes) {
        let loops = self.board.loops().max(LOOPS_PER_READING) / LOOPS_PER_READING;
        let age_max = match here.is_restless() {
            true if here.running_share.get() >= ALONE_SHARE_MIN => self.reading_age_max_alone,
            true => self.reading_age_max_restless,
            false => self.reading_age_max,
        };
        here.read_at.set(now);
        here.reading_due.set(now + age_max * loops);
        here.times.set(times);
        here.polled.set(0);
        here.sharers.allow(here.is_restless());
    }

    #[cold]
    fn note_long_poll(&self, here: &Here, slot: &LoopSlot, start: Stamp, end: Stamp) {
        // One that ends after the window but began before its end has stood in it.
        if !self.board.has_seen(start) {
            return;
        }
        let ns = self.scale.ns_between(start, end);
        for (count, threshold) in slot.stalls.iter().zip([MS, self.threshold_ns, 100 * MS]) {
            if ns >= threshold {
                count.fetch_add(1, Relaxed);
            }
        }
        if ns < self.threshold_ns {
            return;
        }
        let times = thread_times::read();
        let since_reading = Interval {
            wall_ns: self.scale.ns_between(here.read_at.get(), end),
            spent: times.since(here.times.get()),
            polled_ns: self.scale.ns(here.polled.get()).saturating_sub(ns),
            running_between: if here.is_restless() { here.running_share.get() } else { 0 },
        };
        // How the loop is between its polls, one that stands still does not tell.
        self.keep_times(here, end, times);
        let ThreadTimes { cpu_ns, run_queue_ns } = since_reading.share_of_last(ns);
        slot.longest_ns.fetch_max(ns, Relaxed);
        slot.stalled_ns.fetch_add(ns, Relaxed);
        slot.stalled_cpu_ns.fetch_add(cpu_ns, Relaxed);
        slot.stalled_run_queue_ns.fetch_add(run_queue_ns, Relaxed);
        self.board.log_stall(slot, Stall { slot: 0, start, end, cpu_ns, run_queue_ns });
    }

    /// Runs a task's future, metered; a panic inside it ends it and is answered as its text.
    /// It comes pinned, because a function that took it by value would keep room for it twice,
    /// and every task of every trial would be that much larger.
    pub(crate) fn metered(
        &self,
        mut future: Pin<&mut impl Future<Output = ()>>,
    ) -> impl Future<Output = Result<(), String>> {
        poll_fn(move |context| {
            let polled =
                self.poll(|| catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))));
            match polled {
                Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
                Ok(Poll::Pending) => Poll::Pending,
                Err(panic) => Poll::Ready(Err(panic_text(&*panic).to_owned())),
            }
        })
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Phase;
    use std::pin::pin;
    use std::time::{Duration, Instant};

    fn meter() -> Meter {
        let board = Box::leak(Board::blank());
        board.enter(Phase::Measuring, stamp());
        Meter::new(board, ClockScale::MONOTONIC, 5 * MS)
    }

    fn spin(time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {}
    }

    #[test]
    fn counts_polls_and_only_the_long_ones_as_stalls() {
        let meter = meter();
        for _ in 0..100 {
            meter.poll(|| ());
        }
        meter.poll(|| spin(Duration::from_millis(2)));
        meter.poll(|| spin(Duration::from_millis(6)));
        let slot = &meter.board.slots()[0];
        assert_eq!(slot.polls.load(Relaxed), 102);
        assert!(slot.stalls[0].load(Relaxed) >= 2);
        assert!(slot.stalls[1].load(Relaxed) >= 1);
        assert!(slot.longest_ns.load(Relaxed) >= 6 * MS);
        assert_eq!(slot.poll_started.load(Relaxed), 0);
    }

    #[test]
    fn a_threshold_below_a_millisecond_has_its_stalls() {
        let meter = Meter::new(meter().board, ClockScale::MONOTONIC, MS / 5);
        meter.poll(|| spin(Duration::from_micros(300)));
        let slot = &meter.board.slots()[0];
        assert_eq!(slot.stalls[1].load(Relaxed), 1);
        assert!(slot.longest_ns.load(Relaxed) >= 300_000);
    }

    #[test]
    fn restless_is_who_was_so_many_times_and_rests_once_at_the_most() {
        HERE.with(|here| {
            let spent = |cpu_ns, run_queue_ns| ThreadTimes { cpu_ns, run_queue_ns };
            for _ in 1..RESTLESS_READINGS {
                assert!(!here.finds_restless(spent(600, 200), 800, false));
            }
            assert!(here.finds_restless(spent(600, 200), 800, false));
            assert_eq!(here.running_share.get(), 768);
            assert!(!here.finds_restless(spent(600, 0), 800, false));
            assert!(!here.finds_restless(spent(800, 0), 800, false));
            for _ in 0..100 {
                here.finds_restless(spent(800, 0), 800, false);
            }
            assert!(here.finds_restless(spent(600, 0), 800, false));
            assert!(!here.finds_restless(spent(600, 0), 800, false));
            for _ in 0..100 {
                here.finds_restless(spent(800, 0), 800, false);
            }
            for _ in 0..RESTLESS_READINGS {
                assert!(here.finds_restless(spent(600, 0), 8_000, true));
            }
            assert!(!here.finds_restless(spent(600, 0), 800, false));
        });
    }

    #[test]
    fn beside_a_beat_long_polls_are_found_all_the_same() {
        let meter = meter();
        let beat = || meter.board.set_beat(stamp());
        let is_allowed = || HERE.with(|here| here.sharers.are_allowed());
        let began = Instant::now();
        while !is_allowed() && began.elapsed() < Duration::from_secs(20) {
            beat();
            meter.poll(|| std::hint::black_box(1 + 1));
        }
        assert!(is_allowed(), "this thread never rests");
        for _ in 0..10 {
            let mut truth = 0;
            beat();
            (0..30).for_each(|_| meter.poll(|| ()));
            let earliest = stamp();
            beat();
            meter.poll(|| {
                let start = stamp();
                spin(Duration::from_millis(6));
                beat();
                truth = stamp() - start;
            });
            let last = *meter.board.stalls().0.last().expect("it is found");
            assert!(last.end - last.start >= truth && last.start >= earliest, "{last:?} {truth}");
        }
        // Without a beat every end is read.
        meter.board.set_beat(0);
        meter.poll(|| spin(Duration::from_millis(6)));
        assert_eq!(meter.board.slots()[0].stalls[1].load(Relaxed), 11);
    }

    #[test]
    fn a_stall_is_split_into_its_causes() {
        let meter = meter();
        meter.poll(|| ());
        meter.poll(|| std::thread::sleep(Duration::from_millis(20)));
        meter.poll(|| crate::plain_calls::use_cpu(Duration::from_millis(20)));
        let (stalls, all) = meter.board.stalls();
        let (slept, computed) = (stalls[0], stalls[1]);
        assert!(all && stalls.len() == 2, "{stalls:?}");
        assert!(slept.cpu_ns < 5 * MS, "{slept:?}");
        assert!((19 * MS..=21 * MS).contains(&computed.cpu_ns), "{computed:?}");
        for stall in stalls {
            assert!(stall.cpu_ns + stall.run_queue_ns <= stall.end - stall.start);
        }
    }

    #[test]
    fn a_metered_future_is_kept_once() {
        async fn large() {
            let room = [1_u8; 1_000];
            crate::yielding::yield_once().await;
            std::hint::black_box(room);
        }
        let meter = meter();
        let task = async {
            let work = pin!(large());
            meter.metered(work).await
        };
        assert!(size_of_val(&task) < 1_500, "{}", size_of_val(&task));
    }

    #[test]
    fn a_stall_outside_the_window_is_not_counted() {
        let meter = meter();
        meter.board.enter(Phase::Over, stamp());
        meter.poll(|| spin(Duration::from_millis(6)));
        assert_eq!(meter.board.slots()[0].stalls[1].load(Relaxed), 0);
    }

    /// As if the thread had gone on to a CPU whose counter is behind.
    #[test]
    fn a_poll_that_ends_before_it_began_took_no_time() {
        let meter = meter();
        meter.poll(|| ());
        let slot = &meter.board.slots()[0];
        // On a busy machine even nothing may take a while.
        let before = slot.stalls[1].load(Relaxed);
        meter.poll(|| slot.poll_started.store(stamp() + 3_600_000 * MS, Relaxed));
        assert_eq!(slot.polls.load(Relaxed), 2);
        assert_eq!(slot.stalls[1].load(Relaxed), before);
        assert_eq!(slot.poll_started.load(Relaxed), 0);
        // And goes on as if nothing had been.
        meter.poll(|| spin(Duration::from_millis(6)));
        assert_eq!(slot.stalls[1].load(Relaxed), before + 1);
        assert!(slot.longest_ns.load(Relaxed) < 3_000_000 * MS);
    }

    #[test]
    fn an_inner_poll_leaves_the_outer_one_running() {
        let meter = meter();
        meter.poll(|| {
            meter.poll(|| ());
            assert_ne!(meter.board.slots()[0].poll_started.load(Relaxed), 0);
        });
        assert_eq!(meter.board.slots()[0].polls.load(Relaxed), 2);
    }

    #[test]
    fn ended_threads_give_their_slots_back() {
        let meter: &'static Meter = Box::leak(Box::new(meter()));
        for _ in 0..10 {
            std::thread::spawn(|| meter.poll(|| ())).join().unwrap();
        }
        assert_eq!(meter.board.slots().len(), 1);
        assert_eq!(meter.board.loops_peak(), 1);
    }
}

//! The poll wrapper: measures how long one uninterrupted poll holds its thread.
//!
//! A poll costs two clock readings and a few stores; at most one system call per millisecond, and
//! never a lock. It measures polls of the suite's tasks only, not what a runtime does between them.
//!
//! Polls may be nested, because a runtime may poll a new task inside the poll of its parent. Only the
//! outermost poll is timed; inner ones are just counted, since their time is part of its time.

mod interval;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::board::{Board, LoopSlot, Stall};
use crate::clock::{ClockScale, Stamp, stamp};
use crate::panics::panic_text;
use crate::thread_times::{self, ThreadTimes};
use interval::Interval;

const MS: u64 = 1_000_000;
/// The thread's times (CPU, run queue) are read at the beginning of a poll if the last reading is
/// older than this, and at the end of a stall. Reading them around every poll would cost a third of
/// an echo's throughput.
const READING_AGE_MAX_NS: u64 = MS;
/// Where many loops share few CPUs, each polls seldom and would read at every poll. Above this
/// number of loops the maximum age grows with it, so that all loops together make ten readings per
/// millisecond, about 1 % of a CPU.
const LOOPS_PER_AGE: u64 = 10;
/// Length of the stall that is injected before each trial to test the instruments …
const CANARY: Duration = Duration::from_millis(2);
/// … and the length from which it counts as detected. Shorter, because the clock's scale may be a
/// few per cent off, which other checks find.
const CANARY_SEEN_NS: u64 = 1_800_000;

/// Measures polls and records them on the board.
pub struct Meter {
    board: &'static Board,
    scale: ClockScale,
    /// Shorter polls are only counted.
    ticks_long: u64,
    reading_age_max: u64,
    threshold_ns: u64,
    /// Off only to measure what the wrapper costs.
    on: bool,
}

/// The state of a thread between its polls. Nothing in it needs a drop, so access is cheap.
struct Here {
    slot: Cell<Option<&'static LoopSlot>>,
    /// When `times` was read, and when it has to be read again.
    read_at: Cell<Stamp>,
    reading_due: Cell<Stamp>,
    times: Cell<ThreadTimes>,
    /// The share of the time between polls in which the thread ran, before the last reading, in
    /// 1,024ths.
    running_between: Cell<u64>,
    /// Ticks spent in polls since the last reading.
    polled: Cell<u64>,
    /// When the canary stall began; 0 if there is none.
    canary: Cell<Stamp>,
}

/// This thread's slot, released when the thread ends. `None` if the board has no free slot.
struct Seat {
    board: &'static Board,
    slot: Option<&'static LoopSlot>,
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
            running_between: Cell::new(0),
            polled: Cell::new(0),
            canary: Cell::new(0),
        }
    };
    static SEAT: RefCell<Option<Seat>> = const { RefCell::new(None) };
}

impl Meter {
    pub fn new(board: &'static Board, scale: ClockScale, threshold_ns: u64) -> Self {
        Self {
            board,
            scale,
            ticks_long: scale.ticks(MS.min(threshold_ns)),
            reading_age_max: scale.ticks(READING_AGE_MAX_NS),
            threshold_ns,
            on: true,
        }
    }

    pub(crate) fn only_if(self, on: bool) -> Self {
        Self { on, ..self }
    }

    /// Runs `poll` as one poll of a task on this thread.
    #[inline(always)]
    pub fn poll<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.poll_here(poll).0
    }

    /// The same; returns this thread's slot as well.
    #[inline(always)]
    fn poll_here<T>(&self, poll: impl FnOnce() -> T) -> (T, Option<&'static LoopSlot>) {
        // Looked up once: in a dynamically loaded library each access is a call.
        HERE.with(|here| {
            let slot = if self.on { self.slot(here) } else { None };
            let outermost = slot.filter(|slot| slot.poll_started.load(Relaxed) == 0);
            if let Some(slot) = outermost {
                self.begin(here, slot);
            }
            let result = poll();
            match (outermost, slot) {
                (Some(slot), _) => self.end(here, slot),
                (None, Some(slot)) => count_poll(slot),
                (None, None) => {}
            }
            (result, slot)
        })
    }

    /// One operation of the plan's first group has ended on this thread.
    #[inline]
    pub(crate) fn count_operation(&self) {
        HERE.with(|here| match self.slot(here) {
            Some(slot) => add_one(&slot.operations),
            None => self.board.count_operation_without_slot(),
        });
    }

    /// A call begins that blocks by design: the poll is interrupted …
    pub(crate) fn pause(&self) {
        HERE.with(|here| self.slot(here).map(|slot| self.end(here, slot)));
    }

    /// … and continues when the call has returned.
    pub(crate) fn resume(&self) {
        if !self.on {
            return;
        }
        HERE.with(|here| self.slot(here).map(|slot| self.begin(here, slot)));
    }

    /// Holds this thread, inside a poll, for a known time. The board counts it if the wrapper
    /// detects the stall.
    pub(crate) fn stall_as_canary(&self) {
        HERE.with(|here| here.canary.set(stamp()));
        let began = Instant::now();
        while began.elapsed() < CANARY {
            std::hint::spin_loop();
        }
    }

    /// This thread's slot; `None` if the thread is ending, or if all slots are taken.
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
        let slot = slot.ok().flatten();
        here.slot.set(slot);
        slot
    }

    #[inline(always)]
    fn begin(&self, here: &Here, slot: &LoopSlot) {
        let mut now = stamp();
        if now >= here.reading_due.get() {
            now = self.read_times(here, now);
        }
        slot.poll_started.store(now, Relaxed);
    }

    #[inline(always)]
    fn end(&self, here: &Here, slot: &LoopSlot) {
        let started = slot.poll_started.load(Relaxed);
        // Zero if the poll was interrupted and has not continued.
        if started == 0 {
            return;
        }
        let now = stamp();
        count_poll(slot);
        let ticks = now.saturating_sub(started);
        here.polled.set(here.polled.get() + ticks);
        if ticks >= self.ticks_long {
            self.note_long_poll(here, slot, started, now);
        }
        // Last: until the stall is recorded, the parent counts it as one in progress.
        slot.poll_started.store(0, Release);
    }

    #[cold]
    fn read_times(&self, here: &Here, now: Stamp) -> Stamp {
        let wall_ns = self.scale.ns_between(here.read_at.get(), now);
        let times = thread_times::read_after(here.times.get(), wall_ns);
        let polled_ns = self.scale.ns(here.polled.get());
        let ran_between_ns = times.since(here.times.get()).cpu_ns.saturating_sub(polled_ns);
        let between_ns = wall_ns.saturating_sub(polled_ns).max(1);
        here.running_between.set(ran_between_ns.min(between_ns) * 1_024 / between_ns);
        // If the thread lost its CPU during the reading, it waited before its poll and not in it.
        let now = stamp();
        self.keep_times(here, now, times);
        now
    }

    fn keep_times(&self, here: &Here, now: Stamp, times: ThreadTimes) {
        let ages = self.board.loops().max(LOOPS_PER_AGE) / LOOPS_PER_AGE;
        here.read_at.set(now);
        here.reading_due.set(now + self.reading_age_max * ages);
        here.times.set(times);
        here.polled.set(0);
    }

    #[cold]
    fn note_long_poll(&self, here: &Here, slot: &LoopSlot, start: Stamp, end: Stamp) {
        let ns = self.scale.ns_between(start, end);
        let canary = here.canary.take();
        if canary >= start && ns >= CANARY_SEEN_NS {
            self.board.count_canary_stall();
        }
        // Includes a poll that began in the window and ends after it.
        if !self.board.has_seen(start) {
            return;
        }
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
            running_between: here.running_between.get(),
        };
        self.keep_times(here, end, times);
        let ThreadTimes { cpu_ns, run_queue_ns } = since_reading.share_of_last(ns);
        slot.longest_ns.fetch_max(ns, Relaxed);
        slot.stalled_ns.fetch_add(ns, Relaxed);
        slot.stalled_cpu_ns.fetch_add(cpu_ns, Relaxed);
        slot.stalled_run_queue_ns.fetch_add(run_queue_ns, Relaxed);
        self.board.log_stall(slot, Stall { slot: 0, start, end, cpu_ns, run_queue_ns });
    }

    /// Runs a task's future with its polls measured; a panic ends it and is returned as its text.
    /// The future is passed pinned: passed by value it would be stored twice in every task.
    pub(crate) fn metered(
        &self,
        mut future: Pin<&mut impl Future<Output = ()>>,
    ) -> impl Future<Output = Result<(), String>> {
        let mut last: Option<&'static LoopSlot> = None;
        poll_fn(move |context| {
            let (polled, here) =
                self.poll_here(|| catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))));
            if let (Some(last), Some(here)) = (last, here)
                && !std::ptr::eq(last, here)
            {
                add_one(&here.migrations);
            }
            last = here;
            match polled {
                Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
                Ok(Poll::Pending) => Poll::Pending,
                Err(panic) => Poll::Ready(Err(panic_text(&*panic))),
            }
        })
    }
}

#[inline(always)]
fn count_poll(slot: &LoopSlot) {
    add_one(&slot.polls);
}

/// Only one thread writes a slot, so no atomic addition is needed.
#[inline(always)]
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{LOOPS_MAX, Phase};
    use crate::plain_calls;
    use std::pin::pin;
    use std::task::{Context, Waker};

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
    fn a_stall_is_split_into_its_causes() {
        let meter = meter();
        meter.poll(|| ());
        meter.poll(|| std::thread::sleep(Duration::from_millis(20)));
        meter.poll(|| plain_calls::use_cpu(Duration::from_millis(20)));
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
    fn a_task_that_goes_on_in_another_thread_is_counted() {
        let meter = meter();
        let mut future = pin!(async {
            for _ in 0..3 {
                crate::runtime::yield_once().await;
            }
        });
        let task = std::sync::Mutex::new(Box::pin(meter.metered(future.as_mut())));
        let poll = || {
            let mut context = Context::from_waker(Waker::noop());
            let _ = task.lock().unwrap().as_mut().poll(&mut context);
        };
        // Threads that live as long as the task: another may be given the slot of one that ended.
        let gate = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                poll();
                poll();
                gate.wait();
                gate.wait();
            });
            gate.wait();
            poll();
            gate.wait();
        });
        let slots = meter.board.slots().iter();
        assert_eq!(slots.map(|slot| slot.migrations.load(Relaxed)).sum::<u64>(), 1);
    }

    #[test]
    fn a_metered_future_is_kept_once() {
        async fn large() {
            let room = [1_u8; 1_000];
            crate::runtime::yield_once().await;
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

    /// As where a runtime polls a new task inside the poll of its parent.
    #[test]
    fn nested_polls_are_one_stall() {
        let meter = meter();
        let compute = || plain_calls::use_cpu(Duration::from_millis(10));
        let start = stamp();
        meter.poll(|| {
            meter.poll(compute);
            meter.poll(|| meter.poll(compute));
            assert_ne!(meter.board.slots()[0].poll_started.load(Relaxed), 0);
        });
        let wall_ns = stamp() - start;
        let (stalls, _) = meter.board.stalls();
        let slot = &meter.board.slots()[0];
        assert_eq!(stalls.len(), 1, "{stalls:?}");
        assert!(slot.stalled_ns.load(Relaxed) <= wall_ns);
        assert!(stalls[0].cpu_ns >= 20 * MS, "{stalls:?}");
        assert!(stalls[0].cpu_ns + stalls[0].run_queue_ns <= wall_ns);
        // Each of them was a poll.
        assert_eq!(slot.polls.load(Relaxed), 4);
    }

    /// As where every operation waits inside its call, and what it waits for is polled meanwhile.
    #[test]
    fn a_wait_inside_nested_polls_is_no_stall() {
        let meter = meter();
        let wait = |during: &dyn Fn()| {
            meter.pause();
            during();
            meter.resume();
        };
        let slept_at = Cell::new(0);
        let sleep = || {
            std::thread::sleep(Duration::from_millis(10));
            slept_at.set(stamp());
            std::thread::sleep(Duration::from_millis(10));
        };
        let is_stall = || {
            let covers = |stall: &Stall| (stall.start..stall.end).contains(&slept_at.get());
            meter.board.stalls().0.iter().any(covers)
        };
        // In the inner poll, and around an inner one that waits as well.
        meter.poll(|| meter.poll(|| wait(&sleep)));
        assert!(!is_stall());
        meter.poll(|| wait(&|| meter.poll(|| wait(&sleep))));
        assert!(!is_stall());
        // What the outer poll does after such a wait is its own.
        meter.poll(|| {
            meter.poll(|| wait(&sleep));
            spin(Duration::from_millis(6));
        });
        assert!(!is_stall());
        let (stalls, _) = meter.board.stalls();
        let last = stalls.last().expect("computing is a stall");
        assert!(last.end - last.start >= 6 * MS, "{last:?}");
        assert_eq!(meter.board.slots()[0].poll_started.load(Relaxed), 0);
    }

    #[test]
    fn a_canary_is_seen_only_by_a_wrapper_that_works() {
        let board = Box::leak(Board::blank());
        let meter = |on| Meter::new(board, ClockScale::MONOTONIC, 100 * MS).only_if(on);
        // A stall that is no canary.
        meter(true).poll(|| spin(CANARY));
        meter(false).poll(|| meter(false).stall_as_canary());
        meter(true).stall_as_canary();
        meter(true).poll(|| spin(CANARY));
        assert_eq!(board.canary_stalls(), 0);
        meter(true).poll(|| meter(true).stall_as_canary());
        assert_eq!(board.canary_stalls(), 1);
        meter(true).poll(|| spin(CANARY));
        assert_eq!(board.canary_stalls(), 1);
        // It was before the window.
        assert_eq!(board.slots()[0].stalls[0].load(Relaxed), 0);
    }

    #[test]
    fn beyond_the_slots_polls_go_on_unmetered() {
        let board: &'static Board = Box::leak(Board::blank());
        board.enter(Phase::Measuring, stamp());
        let meter = Meter::new(board, ClockScale::MONOTONIC, 5 * MS);
        let taken: Vec<_> = (0..LOOPS_MAX).map(|_| board.take_slot()).collect();
        assert!(taken.iter().all(Option::is_some));
        for _ in 0..3 {
            meter.poll(|| spin(Duration::from_millis(6)));
            meter.pause();
            meter.resume();
            meter.count_operation();
        }
        assert_eq!(board.loops_unmetered(), 1);
        assert_eq!(board.stalls(), (Vec::new(), true));
        assert_eq!(board.done(false), 3);
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

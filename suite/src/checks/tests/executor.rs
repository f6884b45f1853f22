//! An executor in as few lines as it takes: one loop with a queue and timers. Any of its rules can be
//! broken.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::Timespec;

use super::rule::Rule;
use crate::plain_calls::Descriptor;

#[derive(Default)]
pub(super) struct Executor {
    pub(super) broken: Option<Rule>,
    pub(super) state: Mutex<State>,
    pub(super) woken: Condvar,
    /// Held during polls, for wakes that wait for the loop.
    polling: Mutex<()>,
    loop_thread: Mutex<Option<thread::ThreadId>>,
    wakes: AtomicUsize,
    panics: AtomicUsize,
    /// Reads that have not ended.
    pub(super) reads: AtomicUsize,
    /// Closed descriptors with events that were not taken.
    pub(super) closed: Mutex<HashSet<Descriptor>>,
    /// A sleep has begun, and has not ended.
    pub(super) has_begun_sleep: AtomicBool,
    /// Jobs for the pool, and those that have not ended.
    pub(super) jobs: AtomicUsize,
    pub(super) jobs_running: AtomicUsize,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) ready: VecDeque<Arc<Cell>>,
    root_woken: bool,
    /// Woken by other threads, if such wakes wait until the loop is idle.
    foreign: Vec<Arc<Cell>>,
    /// By time, and by the order in which they were made.
    timers: BTreeMap<(Instant, u64), Waker>,
    timers_made: u64,
    pub(super) all: Vec<Arc<Cell>>,
    is_ending: bool,
    pub(super) ended: bool,
}

pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Cell {
    pub(super) executor: Arc<Executor>,
    /// The root has no work here.
    is_root: bool,
    pub(super) work: Mutex<Option<Work>>,
    pub(super) queued: AtomicBool,
    in_poll: AtomicBool,
    pub(super) done: Mutex<(Option<bool>, Vec<Waker>)>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wake for Cell {
    fn wake(self: Arc<Self>) {
        let executor = Arc::clone(&self.executor);
        let is_foreign = *lock(&executor.loop_thread) != Some(thread::current().id());
        let number = executor.wakes.fetch_add(1, SeqCst);
        let is_lost = match executor.broken {
            Some(Rule::LosesWakesDuringPolls) => self.in_poll.load(SeqCst),
            Some(Rule::LosesForeignWakes) => is_foreign && !self.is_root,
            Some(Rule::LosesForeignWakesOfTheRoot) => is_foreign && self.is_root,
            Some(Rule::LosesEveryHundredthWake) => number % 100 == 99,
            _ => false,
        };
        if is_lost {
            return;
        }
        if executor.broken == Some(Rule::WakesWaitForTheLoop) && is_foreign {
            drop(lock(&executor.polling));
        }
        if executor.is(Rule::HealsLostWakesByATimeLimit) && is_foreign && number % 50 == 49 {
            // The loop finds it when it has waited.
            return lock(&executor.state).foreign.push(self);
        }
        let mut state = lock(&executor.state);
        if state.is_ending && executor.is(Rule::HangsOnWakesDuringItsEnd) {
            drop(state);
            wait_for_ever();
        }
        if state.ended && executor.broken == Some(Rule::CrashesOnLateWakes) {
            drop(state);
            wait_for_ever();
        }
        if executor.broken == Some(Rule::HangsOnWakesOfDroppedTasks) && lock(&self.done).0.is_some()
        {
            drop(state);
            wait_for_ever();
        }
        if executor.broken == Some(Rule::ForeignWakesOnlyWhenIdle) && is_foreign && !self.is_root {
            state.foreign.push(Arc::clone(&self));
        } else if self.is_root {
            state.root_woken = true;
        } else if !self.queued.swap(true, SeqCst) {
            if executor.broken == Some(Rule::RunsTheLastWokenFirst) {
                state.ready.push_front(Arc::clone(&self));
            } else {
                state.ready.push_back(Arc::clone(&self));
            }
        }
        executor.woken.notify_all();
    }
}

impl Executor {
    pub(super) fn new(broken: Option<Rule>) -> Arc<Self> {
        Arc::new(Self { broken, ..Self::default() })
    }

    pub(super) fn is(&self, rule: Rule) -> bool {
        self.broken == Some(rule)
    }

    pub(super) fn cell(self: &Arc<Self>, work: Option<Work>) -> Arc<Cell> {
        Arc::new(Cell {
            executor: Arc::clone(self),
            is_root: work.is_none(),
            work: Mutex::new(work),
            queued: AtomicBool::new(false),
            in_poll: AtomicBool::new(false),
            done: Mutex::default(),
        })
    }

    pub(super) fn block_on(self: &Arc<Self>, root: impl Future<Output = ()>) {
        let mut root = std::pin::pin!(root);
        let cell = self.cell(None);
        let waker = Waker::from(cell);
        *lock(&self.loop_thread) = Some(thread::current().id());
        lock(&self.state).root_woken = true;
        loop {
            let is_idle = lock(&self.state).ready.is_empty() && !lock(&self.state).root_woken;
            if is_idle || !self.is(Rule::TimersOnlyWhenIdle) {
                self.fire_timers();
            }
            let root_woken = std::mem::take(&mut lock(&self.state).root_woken);
            if root_woken {
                let _polling = self.is(Rule::WakesWaitForTheLoop).then(|| lock(&self.polling));
                if root.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                    return;
                }
                if self.is(Rule::PollsTheRootFirst) && lock(&self.state).root_woken {
                    continue;
                }
            }
            let next = lock(&self.state).ready.pop_front();
            match next {
                Some(cell) => self.poll(&cell),
                None => self.park(),
            }
        }
    }

    fn fire_timers(&self) {
        let now = Instant::now();
        let due: Vec<Waker> = {
            let mut state = lock(&self.state);
            let later = state.timers.split_off(&(now, u64::MAX));
            std::mem::replace(&mut state.timers, later).into_values().collect()
        };
        due.into_iter().for_each(Waker::wake);
    }

    fn park(&self) {
        let mut state = lock(&self.state);
        let foreign = std::mem::take(&mut state.foreign);
        state.ready.extend(foreign);
        let spins = self.is(Rule::SpinsAfterABurst) && self.wakes.load(SeqCst) > 10_000;
        let never_parks = spins || self.is(Rule::NeverParks);
        if !state.ready.is_empty() || state.root_woken || never_parks {
            return;
        }
        let first = if self.is(Rule::MissesEarlierTimers) {
            // Of the timers that it has seen, the first one ever.
            state.timers.keys().min_by_key(|(_, number)| *number).map(|(at, _)| *at)
        } else {
            state.timers.keys().next().map(|(at, _)| *at)
        };
        let is_limited = self.is(Rule::HealsLostWakesByATimeLimit);
        let longest = Duration::from_millis(if is_limited { 50 } else { 60_000 });
        let time = first.map_or(longest, |at| at.saturating_duration_since(Instant::now()));
        if self.is(Rule::EndsWhenInterrupted) {
            drop(state);
            let millisecond = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            if rustix::event::poll(&mut [], Some(&millisecond)).is_err() {
                wait_for_ever();
            }
            return;
        }
        drop(self.woken.wait_timeout(state, time));
    }

    pub(super) fn poll(self: &Arc<Self>, cell: &Arc<Cell>) {
        cell.queued.store(false, SeqCst);
        let Some(mut work) = lock(&cell.work).take() else {
            // It has ended, or another thread polls it.
            if self.is(Rule::PollsOnTwoThreads) && lock(&cell.done).0.is_none() {
                lock(&self.state).ready.push_back(Arc::clone(cell));
            }
            return;
        };
        let polled = {
            let _polling = self.is(Rule::WakesWaitForTheLoop).then(|| lock(&self.polling));
            cell.in_poll.store(true, SeqCst);
            let waker = if self.is(Rule::NewWakers) {
                let inner = Waker::from(Arc::clone(cell));
                Waker::from(Arc::new(Another(inner)))
            } else {
                Waker::from(Arc::clone(cell))
            };
            let polled = catch_unwind(AssertUnwindSafe(|| {
                work.as_mut().poll(&mut Context::from_waker(&waker))
            }));
            cell.in_poll.store(false, SeqCst);
            polled
        };
        match polled {
            Ok(Poll::Pending) => {
                // Only the list of all tasks and this function hold it: no waker is left.
                let is_inert = Arc::strong_count(cell) <= 2 && !cell.queued.load(SeqCst);
                if self.is(Rule::FreesInertTasks) && is_inert {
                    return drop(work);
                }
                *lock(&cell.work) = Some(work);
            }
            ended => {
                // The wakes of its drop find it completed.
                if self.is(Rule::HangsOnWakesOfDroppedTasks) {
                    lock(&cell.done).0 = Some(true);
                }
                drop(work);
                if !self.is(Rule::KeepsCompletedTasks) {
                    let mut state = lock(&self.state);
                    let place = state.all.iter().position(|other| Arc::ptr_eq(other, cell));
                    place.map(|place| state.all.swap_remove(place));
                }
                if ended.is_err() {
                    let panics = self.panics.fetch_add(1, SeqCst) + 1;
                    // As if each panic ended one of 60 workers, or the only one.
                    if self.is(Rule::EndsWithAPanic) || self.is(Rule::LosesWorkers) && panics > 60 {
                        wait_for_ever();
                    }
                }
                let waiting = {
                    let mut done = lock(&cell.done);
                    done.0 = Some(ended.is_ok());
                    std::mem::take(&mut done.1)
                };
                waiting.into_iter().for_each(Waker::wake);
            }
        }
    }

    /// Drops all tasks.
    pub(super) fn end(&self) {
        let all = {
            let mut state = lock(&self.state);
            state.ended = true;
            state.is_ending = true;
            state.ready.clear();
            std::mem::take(&mut state.all)
        };
        if self.is(Rule::HangsOnWakesDuringItsEnd) {
            thread::sleep(Duration::from_millis(1));
        }
        for cell in all {
            let work = lock(&cell.work).take();
            drop(work);
        }
        lock(&self.state).is_ending = false;
    }

    /// Runs tasks on another thread beside the loop, until the end.
    pub(super) fn assist(self: &Arc<Self>) {
        while !lock(&self.state).ended {
            self.fire_timers();
            let next = lock(&self.state).ready.pop_front();
            match next {
                Some(cell) => self.poll(&cell),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Puts a new task into the queue.
    pub(super) fn start(self: &Arc<Self>, work: Work) -> Arc<Cell> {
        let is_foreign = *lock(&self.loop_thread) != Some(thread::current().id());
        let cell = self.cell(Some(work));
        let mut state = lock(&self.state);
        assert!(!state.ended || !self.is(Rule::PanicsWithoutARun), "there is no runtime");
        if !self.is(Rule::FreesTasksWithTheirWakers) {
            state.all.push(Arc::clone(&cell));
        }
        if self.is(Rule::PollsInSpawn) {
            drop(state);
            self.poll(&cell);
            return cell;
        }
        cell.queued.store(true, SeqCst);
        if self.is(Rule::SpawnsLastFirst) {
            state.ready.push_front(Arc::clone(&cell));
        } else {
            state.ready.push_back(Arc::clone(&cell));
        }
        if !is_foreign || !self.is(Rule::SpawnsWithoutWaking) {
            self.woken.notify_all();
        }
        cell
    }

    pub(super) fn timer_count(&self) -> usize {
        lock(&self.state).timers.len()
    }
}

/// As near to a crash as a test in this process may come.
pub(super) fn wait_for_ever() -> ! {
    loop {
        thread::park();
    }
}

/// A waker that is never the same.
struct Another(Waker);

impl Wake for Another {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

pub(super) fn sleep(
    executor: &Arc<Executor>,
    time: Duration,
) -> impl Future<Output = ()> + Send + use<> {
    let executor = Arc::clone(executor);
    let end = Instant::now().checked_add(time);
    poll_fn(move |context| {
        let Some(end) = end else { return Poll::Pending };
        if Instant::now() >= end {
            return Poll::Ready(());
        }
        let mut state = lock(&executor.state);
        state.timers_made += 1;
        let key = (end, state.timers_made);
        state.timers.insert(key, context.waker().clone());
        Poll::Pending
    })
}

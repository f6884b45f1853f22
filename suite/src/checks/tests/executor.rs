//! An executor in as few lines as it takes: one loop with a queue and timers. Any of its rules can be
//! broken.

use std::collections::VecDeque;
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
    pub(super) timers: Vec<(Instant, Waker)>,
    pub(super) all: Vec<Arc<Cell>>,
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
        let mut state = lock(&executor.state);
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
            let (due, later) = state.timers.drain(..).partition(|(at, _)| *at <= now);
            state.timers = later;
            let due: Vec<(Instant, Waker)> = due;
            due.into_iter().map(|(_, waker)| waker).collect()
        };
        due.into_iter().for_each(Waker::wake);
    }

    fn park(&self) {
        let mut state = lock(&self.state);
        let foreign = std::mem::take(&mut state.foreign);
        state.ready.extend(foreign);
        if !state.ready.is_empty() || state.root_woken || self.is(Rule::NeverParks) {
            return;
        }
        let first = if self.is(Rule::MissesEarlierTimers) {
            // Of the timers that it has seen, the first one ever.
            state.timers.first().map(|(at, _)| *at)
        } else {
            state.timers.iter().map(|(at, _)| *at).min()
        };
        let time = first
            .map_or(Duration::from_secs(60), |at| at.saturating_duration_since(Instant::now()));
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
        let Some(mut work) = lock(&cell.work).take() else { return };
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
            state.ready.clear();
            std::mem::take(&mut state.all)
        };
        for cell in all {
            let work = lock(&cell.work).take();
            drop(work);
        }
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
        lock(&executor.state).timers.push((end, context.waker().clone()));
        Poll::Pending
    })
}

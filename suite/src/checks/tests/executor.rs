//! An executor in as few lines as it takes: one loop, timers, and sockets that are tried again every
//! millisecond. Any of its rules can be broken.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::File;
use std::future::{Future, pending, poll_fn};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::on_cancel::OnCancel;
use crate::plain_calls::{self, Descriptor};
use crate::runtime::{FilePath, Runtime, Task, yield_once};
use crate::scene::Scene;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    LosesWakesDuringPolls,
    LosesForeignWakes,
    LosesForeignWakesOfTheRoot,
    LosesEveryHundredthWake,
    WakesWaitForTheLoop,
    HangsOnWakesOfDroppedTasks,
    TimersOnlyWhenIdle,
    ForeignWakesOnlyWhenIdle,
    YieldsNothing,
    PollsTheRootFirst,
    RunsTheLastWokenFirst,
    SleepsTooShort,
    OverflowsOnLongSleeps,
    MissesEarlierTimers,
    SleepsInTheLoop,
    LosesWorkers,
    JobsInTheLoop,
    LosesPanickedJobs,
    CrashesOnLateWakes,
    HangsAfterAPanicOfTheRoot,
    SocketsOnlyWhenIdle,
    ClosesBothDirections,
    HidesResets,
    BuffersWithoutLimit,
    LosesBytesOfCancelledReads,
    KeepsSocketsOfCancelledReads,
    LeaksCancelledOpens,
    CancelsLater,
    KeepsEventsOfClosedSockets,
    LosesReadsOfAFullRing,
    TriesAgainAtOnceWithoutDescriptors,
    ReadersHoldUpWriters,
    // Not wrong, but another answer.
    NewWakers,
    SpawnsLastFirst,
    PollsInSpawn,
    FreesInertTasks,
    SleepsATick,
    CancelsOnDrop,
    JoinsPanicsSilently,
    EndsWithAPanic,
    ClosesConnectionsOfCancelledAccepts,
    KeepsOneReader,
}

impl Rule {
    /// Each rule with the check that has to fail.
    pub(super) const ALL: &[(Rule, &str)] = &[
        (Rule::LosesWakesDuringPolls, "wake-in-poll"),
        (Rule::LosesForeignWakes, "wake-foreign-task"),
        (Rule::LosesForeignWakesOfTheRoot, "wake-foreign-root"),
        (Rule::LosesEveryHundredthWake, "wake-race"),
        (Rule::WakesWaitForTheLoop, "wake-nonblocking"),
        (Rule::HangsOnWakesOfDroppedTasks, "drop-wakes-sibling"),
        (Rule::TimersOnlyWhenIdle, "timer-vs-ready"),
        (Rule::ForeignWakesOnlyWhenIdle, "wake-vs-ready"),
        (Rule::YieldsNothing, "yield-fair"),
        (Rule::PollsTheRootFirst, "root-yield"),
        (Rule::TimersOnlyWhenIdle, "root-yield-timer"),
        (Rule::RunsTheLastWokenFirst, "pingpong"),
        (Rule::SleepsTooShort, "sleep-not-early"),
        (Rule::OverflowsOnLongSleeps, "sleep-max"),
        (Rule::MissesEarlierTimers, "timer-earlier"),
        (Rule::SleepsInTheLoop, "sequential-vs-join"),
        (Rule::LosesWorkers, "panic-capacity"),
        (Rule::JobsInTheLoop, "pool-isolates"),
        (Rule::LosesPanickedJobs, "panic-blocking"),
        (Rule::CrashesOnLateWakes, "wake-late"),
        (Rule::HangsAfterAPanicOfTheRoot, "panic-root-reuse"),
        (Rule::SocketsOnlyWhenIdle, "io-vs-ready"),
        (Rule::ClosesBothDirections, "half-close"),
        (Rule::HidesResets, "rst"),
        (Rule::BuffersWithoutLimit, "backpressure"),
        (Rule::LosesBytesOfCancelledReads, "cancel-read"),
        (Rule::KeepsSocketsOfCancelledReads, "cancel-then-close"),
        (Rule::LeaksCancelledOpens, "cancel-open"),
        (Rule::CancelsLater, "cancel-awaits-drop"),
        (Rule::KeepsEventsOfClosedSockets, "fd-reuse"),
        (Rule::LosesReadsOfAFullRing, "ring-overflow"),
        (Rule::TriesAgainAtOnceWithoutDescriptors, "accept-emfile"),
        (Rule::ReadersHoldUpWriters, "rw-two-tasks"),
    ];

    /// Each other way to do something, with the check whose answer it changes.
    pub(super) const OTHER_WAYS: &[(Rule, &str)] = &[
        (Rule::NewWakers, "will-wake"),
        (Rule::SpawnsLastFirst, "spawn-order"),
        (Rule::PollsInSpawn, "spawn-inline"),
        (Rule::FreesInertTasks, "inert-task"),
        (Rule::SleepsATick, "sleep-zero"),
        (Rule::CancelsOnDrop, "handle-drop"),
        (Rule::JoinsPanicsSilently, "panic-join"),
        (Rule::EndsWithAPanic, "panic-detached"),
        (Rule::ClosesConnectionsOfCancelledAccepts, "cancel-accept"),
        (Rule::KeepsOneReader, "two-readers"),
    ];
}

pub(super) fn run(scene: &'static Scene, broken: Option<Rule>) {
    static ROOT_PANICKED: AtomicBool = AtomicBool::new(false);
    if broken == Some(Rule::HangsAfterAPanicOfTheRoot) && ROOT_PANICKED.load(SeqCst) {
        thread::park();
    }
    let executor = Arc::new(Executor { broken, ..Executor::default() });
    let tiny = Tiny(Arc::clone(&executor));
    let result = catch_unwind(AssertUnwindSafe(|| executor.block_on(scene.root(tiny))));
    executor.end();
    if let Err(panic) = result {
        if broken == Some(Rule::HangsAfterAPanicOfTheRoot) {
            ROOT_PANICKED.store(true, SeqCst);
        }
        std::panic::resume_unwind(panic);
    }
}

#[derive(Default)]
struct Executor {
    broken: Option<Rule>,
    state: Mutex<State>,
    woken: Condvar,
    /// Held during polls, for wakes that wait for the loop.
    polling: Mutex<()>,
    loop_thread: Mutex<Option<thread::ThreadId>>,
    wakes: AtomicUsize,
    panics: AtomicUsize,
    reads: AtomicUsize,
    /// Closed descriptors with events that were not taken.
    closed: Mutex<HashSet<Descriptor>>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Arc<Cell>>,
    root_woken: bool,
    /// Woken by other threads, if such wakes wait until the loop is idle.
    foreign: Vec<Arc<Cell>>,
    /// By their time, and in the order in which they were made.
    timers: BTreeMap<(Instant, usize), Waker>,
    timers_made: usize,
    all: Vec<Arc<Cell>>,
    ended: bool,
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Cell {
    executor: Arc<Executor>,
    /// The root has no work here.
    is_root: bool,
    work: Mutex<Option<Work>>,
    queued: AtomicBool,
    in_poll: AtomicBool,
    done: Mutex<(Option<bool>, Vec<Waker>)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
    fn is(&self, rule: Rule) -> bool {
        self.broken == Some(rule)
    }

    fn cell(self: &Arc<Self>, work: Option<Work>) -> Arc<Cell> {
        Arc::new(Cell {
            executor: Arc::clone(self),
            is_root: work.is_none(),
            work: Mutex::new(work),
            queued: AtomicBool::new(false),
            in_poll: AtomicBool::new(false),
            done: Mutex::default(),
        })
    }

    fn block_on(self: &Arc<Self>, root: impl Future<Output = ()>) {
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
        let due = {
            let mut state = lock(&self.state);
            let later = state.timers.split_off(&(now, usize::MAX));
            std::mem::replace(&mut state.timers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    fn park(&self) {
        let mut state = lock(&self.state);
        let foreign = std::mem::take(&mut state.foreign);
        state.ready.extend(foreign);
        if !state.ready.is_empty() || state.root_woken {
            return;
        }
        let first = if self.is(Rule::MissesEarlierTimers) {
            // Of the timers that it has seen, the first one ever.
            state.timers.keys().min_by_key(|(_, number)| *number).map(|(at, _)| *at)
        } else {
            state.timers.keys().next().map(|(at, _)| *at)
        };
        let time = first
            .map_or(Duration::from_secs(60), |at| at.saturating_duration_since(Instant::now()));
        drop(self.woken.wait_timeout(state, time));
    }

    fn poll(self: &Arc<Self>, cell: &Arc<Cell>) {
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
    fn end(&self) {
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
fn wait_for_ever() -> ! {
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

#[derive(Clone)]
pub(super) struct Tiny(Arc<Executor>);

/// A spawned task, by which it can be joined.
pub(super) struct Handle {
    cell: Arc<Cell>,
    detached: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.detached && self.cell.executor.is(Rule::CancelsOnDrop) {
            let work = lock(&self.cell.work).take();
            drop(work);
        }
    }
}

/// Tries a call of a socket again until it does not block: after a millisecond, and then more seldom.
async fn retried<T>(
    executor: &Arc<Executor>,
    mut call: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let mut time = Duration::from_millis(1);
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                sleep(executor, time).await;
                time = (2 * time).min(Duration::from_millis(16));
            }
            result => return result,
        }
    }
}

fn sleep(executor: &Arc<Executor>, time: Duration) -> impl Future<Output = ()> + Send + use<> {
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

/// A stream knows its executor, because the trait's calls have only the stream.
pub(super) struct Stream {
    socket: TcpStream,
    executor: Arc<Executor>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.executor.is(Rule::KeepsEventsOfClosedSockets) {
            lock(&self.executor.closed).insert(self.socket.as_raw_fd());
        }
    }
}

pub(super) struct Listener {
    socket: TcpListener,
    executor: Arc<Executor>,
}

impl Runtime for Tiny {
    type Listener = Listener;
    type Stream = Stream;
    type Join = Handle;
    type Contents = Vec<u8>;

    fn spawn(&self, task: Task<Self>) -> Handle {
        let work: Work = Box::pin(task.run());
        let cell = self.0.cell(Some(work));
        lock(&self.0.state).all.push(Arc::clone(&cell));
        if self.0.is(Rule::PollsInSpawn) {
            self.0.poll(&cell);
        } else {
            let mut state = lock(&self.0.state);
            cell.queued.store(true, SeqCst);
            if self.0.is(Rule::SpawnsLastFirst) {
                state.ready.push_front(Arc::clone(&cell));
            } else {
                state.ready.push_back(Arc::clone(&cell));
            }
            self.0.woken.notify_all();
        }
        Handle { cell, detached: false }
    }

    async fn join(mut join: Handle) -> io::Result<()> {
        let cell = Arc::clone(&join.cell);
        let completed = poll_fn(move |context| {
            let mut done = lock(&cell.done);
            match done.0 {
                Some(completed) => Poll::Ready(completed),
                None => {
                    done.1.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        join.detached = true;
        if completed || join.cell.executor.is(Rule::JoinsPanicsSilently) {
            Ok(())
        } else {
            Err(io::Error::other("the task panicked"))
        }
    }

    fn detach(mut join: Handle) -> io::Result<()> {
        join.detached = true;
        Ok(())
    }

    async fn cancel(join: Handle) {
        if !join.cell.executor.is(Rule::CancelsLater) {
            let work = lock(&join.cell.work).take();
            drop(work);
        }
    }

    async fn listen(&self, address: SocketAddr, _reuse_port: bool) -> io::Result<Listener> {
        let socket = plain_calls::listen(address)?;
        socket.set_nonblocking(true)?;
        Ok(Listener { socket, executor: Arc::clone(&self.0) })
    }

    fn local_port(listener: &Listener) -> io::Result<u16> {
        Ok(listener.socket.local_addr()?.port())
    }

    async fn accept(listener: &mut Listener) -> io::Result<Stream> {
        let executor = Arc::clone(&listener.executor);
        let cancelled = OnCancel::new(|| {
            if executor.is(Rule::ClosesConnectionsOfCancelledAccepts) {
                drop(listener.socket.accept());
            }
        });
        let accepted = loop {
            let accepted = retried(&executor, || listener.socket.accept()).await;
            if accepted.is_ok() || !executor.is(Rule::TriesAgainAtOnceWithoutDescriptors) {
                break accepted;
            }
            yield_once().await;
        };
        cancelled.completed();
        let (socket, _) = accepted?;
        socket.set_nonblocking(true)?;
        Ok(Stream { socket, executor })
    }

    async fn read(
        stream: &mut Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        let executor = Arc::clone(&stream.executor);
        while executor.is(Rule::SocketsOnlyWhenIdle) && !lock(&executor.state).ready.is_empty() {
            sleep(&executor, Duration::from_millis(1)).await;
        }
        if lock(&executor.closed).remove(&stream.socket.as_raw_fd()) {
            return Ok(0);
        }
        let cancelled = OnCancel::new(|| match executor.broken {
            Some(Rule::LosesBytesOfCancelledReads) => {
                drop((&stream.socket).read(&mut [0; 64]));
            }
            Some(Rule::KeepsSocketsOfCancelledReads) => {
                std::mem::forget(stream.socket.try_clone());
            }
            _ => {}
        });
        let in_flight = executor.reads.fetch_add(1, SeqCst) + 1;
        if in_flight == 512 && executor.is(Rule::LosesReadsOfAFullRing) {
            pending::<()>().await;
        }
        let read = || (&stream.socket).read(&mut buffer[range.clone()]);
        let result = retried(&executor, read).await;
        executor.reads.fetch_sub(1, SeqCst);
        cancelled.completed();
        match result {
            Err(_) if executor.is(Rule::HidesResets) => pending().await,
            Ok(0) if executor.is(Rule::ClosesBothDirections) => {
                stream.socket.shutdown(std::net::Shutdown::Both)?;
                Ok(0)
            }
            result => result,
        }
    }

    async fn write(
        stream: &mut Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        if stream.executor.is(Rule::BuffersWithoutLimit) {
            return Ok(range.len());
        }
        let executor = Arc::clone(&stream.executor);
        retried(&executor, || stream.socket.write(&buffer[range.clone()])).await
    }

    async fn read_shared(stream: &Stream, bytes: usize) -> io::Result<Vec<u8>> {
        let executor = Arc::clone(&stream.executor);
        let others = executor.reads.fetch_add(1, SeqCst);
        if others > 0 && executor.is(Rule::KeepsOneReader) {
            pending::<()>().await;
        }
        let mut buffer = vec![0; bytes];
        let read = retried(&executor, || (&stream.socket).read(&mut buffer)).await;
        executor.reads.fetch_sub(1, SeqCst);
        buffer.truncate(read?);
        Ok(buffer)
    }

    async fn write_shared(stream: &Stream, bytes: Vec<u8>) -> io::Result<usize> {
        let executor = Arc::clone(&stream.executor);
        while executor.is(Rule::ReadersHoldUpWriters) && executor.reads.load(SeqCst) > 0 {
            sleep(&executor, Duration::from_millis(1)).await;
        }
        retried(&executor, || (&stream.socket).write(&bytes)).await
    }

    fn descriptor(stream: &Stream) -> Descriptor {
        stream.socket.as_raw_fd()
    }

    async fn yield_now(&self) {
        if !self.0.is(Rule::YieldsNothing) {
            yield_once().await;
        }
    }

    async fn sleep(&self, time: Duration) {
        let time = match self.0.broken {
            Some(Rule::SleepsTooShort) => time / 2,
            Some(Rule::SleepsATick) => time.max(Duration::from_millis(1)),
            Some(Rule::OverflowsOnLongSleeps) if time == Duration::MAX => Duration::ZERO,
            Some(Rule::SleepsInTheLoop) => return thread::sleep(time),
            _ => time,
        };
        sleep(&self.0, time).await;
    }

    async fn read_file(&self, path: FilePath) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let cancelled = OnCancel::new(|| {
            if self.0.is(Rule::LeaksCancelledOpens) {
                std::mem::forget(file.try_clone());
            }
        });
        yield_once().await;
        cancelled.completed();
        let mut contents = Vec::new();
        file.read_to_end(&mut contents)?;
        Ok(contents)
    }

    async fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        if self.0.is(Rule::JobsInTheLoop) {
            return Ok(job());
        }
        let done = Arc::new((Mutex::new((false, None)), Mutex::new(None::<Waker>)));
        let sender = Arc::clone(&done);
        thread::spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(job)).ok();
            *lock(&sender.0) = (true, result);
            let waker = lock(&sender.1).take();
            waker.into_iter().for_each(Waker::wake);
        });
        let loses = self.0.is(Rule::LosesPanickedJobs);
        poll_fn(move |context| {
            *lock(&done.1) = Some(context.waker().clone());
            let mut state = lock(&done.0);
            match (state.0, state.1.take()) {
                (true, Some(result)) => Poll::Ready(Ok(result)),
                (true, None) if !loses => Poll::Ready(Err(io::Error::other("the job panicked"))),
                _ => Poll::Pending,
            }
        })
        .await
    }
}

//! What checks are made of: tasks, signals between them, and deadlines kept by a thread of the
//! system.
//!
//! Nothing here depends on how a runtime works.

use std::cell::Cell;
use std::fs;
use std::future::{Future, poll_fn};
use std::io;
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::{Verdict, ended};
use crate::check_part::{ByteReader, Part, RootPart, SharedStream, Signal, Then, Use};
use crate::panics::panic_text;
use crate::runtime::{Refusal, Runtime, Task, Work};
use crate::scene::Scene;

/// The surroundings of a check that runs on a runtime.
pub(crate) struct Lab<R: Runtime> {
    scene: &'static Scene,
    pub(super) runtime: R,
}

impl<R: Runtime> Lab<R> {
    pub(super) fn new(scene: &'static Scene, runtime: R) -> Self {
        Self { scene, runtime }
    }

    /// For threads that answer.
    pub(super) fn scene(&self) -> &'static Scene {
        self.scene
    }

    pub(super) fn seed(&self) -> u64 {
        self.scene.plan().seed
    }

    /// Starts a task that uses nothing of the runtime.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> R::Join {
        self.runtime.spawn(self.task(future))
    }

    /// A task that uses nothing of the runtime, and is not started.
    pub(super) fn task(&self, future: impl Future<Output = ()> + Send + 'static) -> Task<R> {
        self.task_of(Part::Future(Box::pin(future)))
    }

    pub(super) fn task_of(&self, part: Part) -> Task<R> {
        Task::new(self.scene, &self.runtime, Work::Check(part))
    }

    pub(super) fn spawn_part(&self, part: Part) -> R::Join {
        self.runtime.spawn(self.task_of(part))
    }

    /// Starts a task that is not joined.
    pub(super) fn start(&self, part: Part) {
        self.start_work(Work::Check(part));
    }

    /// Starts a task that waits for a byte.
    pub(super) fn start_reader(&self, reader: ByteReader<R::Stream>) {
        self.start_work(Work::CheckRead(reader));
    }

    /// Starts a task that uses a stream together with others.
    pub(super) fn start_shared(&self, part: SharedStream<R::Stream>) {
        self.start_work(Work::CheckShared(part));
    }

    fn start_work(&self, work: Work<R>) {
        let task = Task::new(self.scene, &self.runtime, work);
        if let Err(error) = R::detach(self.runtime.spawn(task)) {
            self.scene.answer(Verdict::fail(format!("a task could not be started: {error}")));
        }
    }

    /// Threads that may run tasks.
    pub(super) fn workers(&self) -> u32 {
        self.scene.plan().workers
    }

    /// Fails the check if the result is still in use after this time. The clock is a thread of the
    /// system, because the runtime may stand still.
    pub(super) fn deadline(&self, bound: Duration, seen: &str) -> Deadline {
        self.progress(&Arc::default(), bound, seen)
    }

    /// Answers if the result is still in use after this time.
    pub(super) fn answer_after(&self, bound: Duration, verdict: Verdict) -> Deadline {
        self.watch(&Arc::default(), bound, verdict)
    }

    /// As `deadline`, but the time begins anew whenever the counter has changed.
    pub(super) fn progress(
        &self,
        counter: &Arc<AtomicU64>,
        bound: Duration,
        seen: &str,
    ) -> Deadline {
        let verdict = Verdict::fail(format!("{seen} within {} s", bound.as_secs_f64()));
        self.watch(counter, bound, verdict)
    }

    fn watch(&self, counter: &Arc<AtomicU64>, bound: Duration, verdict: Verdict) -> Deadline {
        const LOOK_EVERY: Duration = Duration::from_millis(10);
        let met = Arc::new(AtomicBool::new(false));
        let deadline = Deadline(Arc::clone(&met));
        let (scene, counter) = (self.scene, Arc::clone(counter));
        thread::spawn(move || {
            let mut last = (counter.load(SeqCst), Instant::now());
            while !met.load(SeqCst) {
                let count = counter.load(SeqCst);
                if count != last.0 {
                    last = (count, Instant::now());
                }
                if last.1.elapsed() >= bound {
                    return scene.answer(verdict);
                }
                thread::sleep(LOOK_EVERY);
            }
        });
        deadline
    }

    /// Waits for this time, whether or not the runtime has timers.
    pub(super) async fn pause(&self, time: Duration) {
        Signal::after(time).wait().await;
    }

    /// The share of a CPU that this process uses in an idle second.
    pub(super) async fn cpu_share(&self) -> f64 {
        self.pause(Duration::from_millis(100)).await;
        let before = cpu_seconds();
        self.pause(Duration::from_secs(1)).await;
        cpu_seconds() - before
    }
}

/// Wakes another task, by its waker if there is one, when its own is dropped.
pub(super) struct WakesAnother(pub(super) Arc<Mutex<Option<Waker>>>);

impl Drop for WakesAnother {
    fn drop(&mut self) {
        let waker = self.0.lock().ok().and_then(|waker| waker.clone());
        waker.into_iter().for_each(Waker::wake);
    }
}

/// CPU time that this process has used.
pub(super) fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Holds this thread. A short time is spun through, because a sleep takes some 60 µs at least.
pub(super) fn pause_precisely(time: Duration) {
    if time >= Duration::from_micros(200) {
        return thread::sleep(time);
    }
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// The memory of this process that is resident.
pub(super) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// The time that this share of all times, in per cent, does not exceed; zero if there are none.
pub(super) fn percentile(mut times: Vec<Duration>, per_cent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * per_cent / 100).copied().unwrap_or_default()
}

pub(super) fn in_micros(time: Duration) -> Verdict {
    Verdict::number(time.as_nanos() as f64 / 1_000.0, "µs")
}

/// Met when it is dropped.
pub(super) struct Deadline(Arc<AtomicBool>);

impl Drop for Deadline {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Ticks of 5 ms in a task of their own, and the longest time between two of them.
pub(super) struct Gaps {
    stop: Arc<AtomicBool>,
    longest_ns: Arc<AtomicU64>,
}

impl Gaps {
    const PERIOD: Duration = Duration::from_millis(5);

    pub(super) async fn begin<R: Runtime>(lab: &Lab<R>) -> Self {
        let gaps = Self { stop: Arc::default(), longest_ns: Arc::default() };
        lab.start(Part::Gaps {
            period: Self::PERIOD,
            stop: Arc::clone(&gaps.stop),
            longest_ns: Arc::clone(&gaps.longest_ns),
        });
        lab.runtime.sleep(4 * Self::PERIOD).await;
        gaps.longest_ns.store(0, SeqCst);
        gaps
    }

    pub(super) async fn longest<R: Runtime>(self, lab: &Lab<R>) -> Verdict {
        // A gap ends with the next tick.
        lab.runtime.sleep(4 * Self::PERIOD).await;
        self.stop.store(true, SeqCst);
        Verdict::number(self.longest_ns.load(SeqCst) as f64 / 1e6, "ms between two ticks")
    }
}

impl Part {
    pub(crate) async fn run<R: Runtime>(self, scene: &'static Scene, runtime: R) {
        match self {
            Part::Main => {
                let main = super::answer(scene, runtime);
                if let Err(panic) = scene.meter().metered(pin!(main)).await {
                    scene.answer(ended(scene, format!("the check panicked: {panic}")));
                }
            }
            Part::Future(future) => future.await,
            Part::Sleep { time, then } => {
                runtime.sleep(time).await;
                then();
            }
            Part::Yield { stop, count } => {
                while !stop.load(SeqCst) {
                    runtime.yield_now().await;
                    count.fetch_add(1, SeqCst);
                }
            }
            Part::Tick { period, stop, count } => {
                while !stop.load(SeqCst) {
                    runtime.sleep(period).await;
                    count.fetch_add(1, SeqCst);
                }
            }
            Part::Receive { port, bytes } => {
                let received = receive(runtime, port, &bytes).await;
                if let Err(error) = received {
                    scene.answer(Verdict::fail(format!("a connection failed: {error}")));
                }
            }
            Part::Gaps { period, stop, longest_ns } => {
                let mut last = Instant::now();
                while !stop.load(SeqCst) {
                    runtime.sleep(period).await;
                    let now = Instant::now();
                    longest_ns.fetch_max((now - last).as_nanos() as u64, SeqCst);
                    last = now;
                }
            }
            Part::Offload { job, then } => {
                let result = match caught(runtime.offload(move || job.run())).await {
                    Ok(result) => result.map_err(|error| format!("an error: {error}")),
                    Err(panic) => Err(format!("a panic: {panic}")),
                };
                then(result);
            }
            Part::SpawnAndJoin { then } => {
                let nothing = Part::Future(Box::pin(async {}));
                let task = runtime.spawn(Task::new(scene, &runtime, Work::Check(nothing)));
                let joined = R::join(task).await;
                then(joined.map_err(|error| error.to_string()));
            }
            Part::SpawnWhenDropped { begun, until, then } => {
                let wait = until.wait();
                let _guard = SpawnsWhenDropped { scene, runtime, until, then: Some(then) };
                begun();
                wait.await;
            }
        }
    }
}

/// A guard that uses the runtime which drops it.
struct SpawnsWhenDropped<R: Runtime> {
    scene: &'static Scene,
    runtime: R,
    until: Signal,
    then: Option<Then>,
}

impl<R: Runtime> Drop for SpawnsWhenDropped<R> {
    fn drop(&mut self) {
        self.until.set();
        let nothing = Work::Check(Part::Future(Box::pin(async {})));
        let spawned = catch_unwind(AssertUnwindSafe(|| {
            R::detach(self.runtime.spawn(Task::new(self.scene, &self.runtime, nothing)))
        }));
        if let Some(then) = self.then.take() {
            then(match spawned {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(panic) => Err(panic_text(&*panic)),
            });
        }
    }
}

impl<Stream> ByteReader<Stream> {
    pub(crate) async fn run<R: Runtime<Stream = Stream>>(mut self) {
        (self.before)();
        let mut buffer = vec![0; 1];
        let read = R::read(&mut self.stream, &mut buffer, 0..1).await;
        (self.then)(read);
        if let Some((number, back)) = self.back {
            back.lock().unwrap_or_else(PoisonError::into_inner).push((number, self.stream));
        }
    }
}

async fn receive<R: Runtime>(
    runtime: R,
    port: impl FnOnce(u16),
    bytes: &AtomicU64,
) -> io::Result<()> {
    let mut listener = runtime.listen((Ipv4Addr::LOCALHOST, 0).into(), false).await?;
    port(R::local_port(&listener)?);
    let mut stream = R::accept(&mut listener).await?;
    let mut buffer = vec![0; 4_096];
    loop {
        match R::read(&mut stream, &mut buffer, 0..4_096).await? {
            0 => return Ok(()),
            count => bytes.fetch_add(count as u64, SeqCst),
        };
        // Whether reads that never wait let others run is another question.
        R::step_aside().await;
    }
}

impl<Stream> SharedStream<Stream> {
    pub(crate) async fn run<R: Runtime<Stream = Stream>>(mut self) {
        const WRITTEN_AT_ONCE: usize = 64 * 1024;
        loop {
            let result = match self.how {
                Use::Read => R::read_shared(&self.stream, 1).await.map(|bytes| bytes.len()),
                Use::Write => R::write_shared(&self.stream, vec![b'x'; WRITTEN_AT_ONCE]).await,
            };
            if !(self.goes_on)(result) {
                return;
            }
        }
    }
}

impl RootPart {
    pub(super) async fn run<R: Runtime>(self, lab: Lab<R>) {
        match self {
            RootPart::Start { parts, until } => {
                parts.into_iter().for_each(|part| lab.start(part));
                if let Some(until) = until {
                    until.wait().await;
                }
            }
            RootPart::Panic => panic_on_purpose(),
            RootPart::LeaveSpawn(part) => LEFT.set(Some(Box::new(move || lab.start(part)))),
        }
    }
}

thread_local! {
    /// Not sent elsewhere: a handle on a runtime may belong to its thread.
    static LEFT: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
}

/// Spawns the task that a root has left on this thread, where no runtime runs now. `None` if there
/// is none.
pub(super) fn take_left_spawn() -> Option<Box<dyn FnOnce()>> {
    LEFT.take()
}

/// The surroundings of a check that starts the runtime itself.
pub(super) struct Outside<'a> {
    scene: &'static Scene,
    start: &'a dyn Fn() -> Result<(), Refusal>,
}

impl<'a> Outside<'a> {
    pub(super) fn new(scene: &'static Scene, start: &'a dyn Fn() -> Result<(), Refusal>) -> Self {
        Self { scene, start }
    }

    /// Builds the runtime, runs this on it, and ends it.
    pub(super) fn run(&self, part: RootPart) -> Result<(), Refusal> {
        self.scene.put_root_part(part);
        (self.start)()
    }
}

/// Sets its signal when it is dropped.
pub(super) struct Guard(pub(super) Signal);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Set when a check has a task panic.
static PANICS_ON_PURPOSE: AtomicBool = AtomicBool::new(false);

pub(super) fn panics_on_purpose() -> bool {
    PANICS_ON_PURPOSE.load(SeqCst)
}

/// Panics without a message on standard error.
pub(super) fn panic_on_purpose() -> ! {
    PANICS_ON_PURPOSE.store(true, SeqCst);
    std::panic::resume_unwind(Box::new("a panic on purpose"))
}

/// Polls a future once, with the waker of this task; `None` if it is pending.
pub(super) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Panics print nothing from now on: a backtrace of each may take longer than the check.
pub(super) fn expect_panics() {
    std::panic::set_hook(Box::new(|_| ()));
}

/// Wakes on a thread of the system; a panic that comes out of it is returned as its text.
pub(super) fn wake_caught(waker: Waker) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| waker.wake())).map_err(|panic| panic_text(&*panic))
}

/// Waits for a future; a panic that comes out of it is returned as its text.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(panic_text(&*panic))),
    })
    .await
}

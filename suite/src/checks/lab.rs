//! What checks are made of: tasks, signals between them, and deadlines kept by a thread of the
//! system.
//!
//! Nothing here depends on how a runtime works.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use super::{Verdict, ended};
use crate::check_part::{ByteReader, Part, RootPart, SharedStream, Signal, Use};
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

    /// Starts a task that uses nothing of the runtime.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> R::Join {
        self.spawn_part(Part::Future(Box::pin(future)))
    }

    pub(super) fn spawn_part(&self, part: Part) -> R::Join {
        self.runtime.spawn(Task::new(self.scene, &self.runtime, Work::Check(part)))
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
        let progress = AtomicU64::new(0);
        self.progress(&Arc::new(progress), bound, seen)
    }

    /// The same, but the time begins anew whenever the counter has changed.
    pub(super) fn progress(
        &self,
        counter: &Arc<AtomicU64>,
        bound: Duration,
        seen: &str,
    ) -> Deadline {
        const LOOK_EVERY: Duration = Duration::from_millis(10);
        let met = Arc::new(AtomicBool::new(false));
        let deadline = Deadline(Arc::clone(&met));
        let (scene, counter) = (self.scene, Arc::clone(counter));
        let verdict = Verdict::fail(format!("{seen} within {} s", bound.as_secs_f64()));
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
        let over = Signal::default();
        let sender = over.clone();
        thread::spawn(move || {
            thread::sleep(time);
            sender.set();
        });
        over.wait().await;
    }
}

/// Met when it is dropped.
pub(super) struct Deadline(Arc<AtomicBool>);

impl Drop for Deadline {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
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
        }
    }
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

/// Waits for a future; a panic that comes out of it is returned as its text.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(panic_text(&*panic))),
    })
    .await
}

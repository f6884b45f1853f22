//! What checks are made of: tasks, signals between them, and deadlines kept by a thread of the
//! system.
//!
//! Nothing here depends on how a runtime works.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::{Verdict, ended};
use crate::panics::panic_text;
use crate::runtime::{Refusal, Runtime, Task, Work};
use crate::scene::Scene;

type SendFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
type Action = Box<dyn FnOnce() + Send>;

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
        if let Err(error) = R::detach(self.spawn_part(part)) {
            self.scene.answer(Verdict::fail(format!("a task could not be started: {error}")));
        }
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

/// What a task does during a check.
pub(crate) enum Part {
    /// The check itself.
    Main,
    Future(SendFuture),
    /// Sleeps, with the runtime's timer.
    Sleep {
        time: Duration,
        then: Action,
    },
    /// Yields, in the runtime's way, until it is stopped, and counts.
    Yield {
        stop: Arc<AtomicBool>,
        count: Arc<AtomicU64>,
    },
    /// Sleeps again and again, and counts.
    Tick {
        period: Duration,
        stop: Arc<AtomicBool>,
        count: Arc<AtomicU64>,
    },
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

/// What the root does in a check that starts the runtime itself.
pub(crate) enum RootPart {
    /// Starts tasks, waits for the signal if there is one, and returns.
    Start {
        parts: Vec<Part>,
        until: Option<Signal>,
    },
    Panic,
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

/// Something that happens once, and that a task of any runtime can wait for.
#[derive(Clone, Default)]
pub(crate) struct Signal(Arc<Mutex<SignalState>>);

#[derive(Default)]
struct SignalState {
    is_set: bool,
    waiting: Vec<Waker>,
}

impl Signal {
    fn state(&self) -> MutexGuard<'_, SignalState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On any thread.
    pub(super) fn set(&self) {
        let waiting = {
            let mut state = self.state();
            state.is_set = true;
            std::mem::take(&mut state.waiting)
        };
        // Not under the lock: a waker may run the task at once.
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_set(&self) -> bool {
        self.state().is_set
    }

    pub(super) fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let signal = self.clone();
        poll_fn(move |context| {
            let mut state = signal.state();
            if state.is_set {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
    }

    /// Waits on a thread of the system; false if it takes longer than this.
    pub(super) fn wait_on_thread(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while !self.is_set() {
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        true
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

/// Waits for a future; a panic that comes out of it is returned as its text.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(panic_text(&*panic))),
    })
    .await
}

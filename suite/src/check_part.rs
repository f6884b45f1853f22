//! What tasks and roots do during behaviour checks, and the signals between them.
//!
//! Data only: the checks say when, and how it is carried out on a runtime.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

type SendFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
type Action = Box<dyn FnOnce() + Send>;
/// What is done with a result; an error or a panic is its text.
pub(crate) type Then = Box<dyn FnOnce(Result<(), String>) + Send>;

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
    /// Accepts one connection, and counts what arrives on it.
    Receive {
        port: Box<dyn FnOnce(u16) + Send>,
        bytes: Arc<AtomicU64>,
    },
    /// Sleeps again and again, and keeps the longest time between two ends of a sleep.
    Gaps {
        period: Duration,
        stop: Arc<AtomicBool>,
        longest_ns: Arc<AtomicU64>,
    },
    /// Has a blocking job done by the runtime's pool.
    Offload {
        job: Job,
        then: Then,
    },
    /// Spawns a task that does nothing, and joins it.
    SpawnAndJoin {
        then: Then,
    },
    /// Waits for the signal, which it sets when it is dropped, and spawns a task then.
    SpawnWhenDropped {
        begun: Action,
        until: Signal,
        then: Then,
    },
}

/// A job for a pool. A type of its own, because the compiler can prove a future `Send` that holds it,
/// but not one that holds a bare `Box<dyn FnOnce()>`.
pub(crate) struct Job(Action);

impl Job {
    pub(crate) fn new(work: impl FnOnce() + Send + 'static) -> Self {
        Self(Box::new(work))
    }

    pub(crate) fn run(self) {
        (self.0)();
    }
}

/// A task that waits for one byte of a stream.
pub(crate) struct ByteReader<Stream> {
    pub(crate) stream: Stream,
    /// Done just before the read.
    pub(crate) before: Action,
    pub(crate) then: Box<dyn FnOnce(io::Result<usize>) + Send>,
    /// Where the stream goes after that, with this number; closed if there is none.
    pub(crate) back: Option<(usize, Numbered<Stream>)>,
}

/// A task that uses a stream together with other tasks.
pub(crate) struct SharedStream<Stream> {
    pub(crate) stream: Arc<Stream>,
    pub(crate) how: Use,
    /// Whether there is another operation after one with this result.
    pub(crate) goes_on: Box<dyn FnMut(io::Result<usize>) -> bool + Send>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Use {
    Read,
    Write,
}

pub(crate) type Numbered<Stream> = Arc<Mutex<Vec<(usize, Stream)>>>;

/// What the root does in a check that starts the runtime itself.
pub(crate) enum RootPart {
    /// Starts tasks, waits for the signal if there is one, and returns.
    Start {
        parts: Vec<Part>,
        until: Option<Signal>,
    },
    Panic,
    /// Leaves a task on this thread that is to be spawned after the runtime's end.
    LeaveSpawn(Part),
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

    /// Set by a thread of the system after this time.
    pub(crate) fn after(time: Duration) -> Self {
        let signal = Self::default();
        signal.set_after(time);
        signal
    }

    /// Has a thread of the system set it after this time.
    pub(crate) fn set_after(&self, time: Duration) {
        let signal = self.clone();
        thread::spawn(move || {
            thread::sleep(time);
            signal.set();
        });
    }

    /// On any thread.
    pub(crate) fn set(&self) {
        let waiting = {
            let mut state = self.state();
            state.is_set = true;
            std::mem::take(&mut state.waiting)
        };
        // Not under the lock: a waker may run the task at once.
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.state().is_set
    }

    pub(crate) fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
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
    pub(crate) fn wait_on_thread(&self, limit: Duration) -> bool {
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

//! The traits that an adapter implements for one runtime, and the tasks that it spawns.
//!
//! I/O passes a whole buffer: readiness-based runtimes use it in place, completion-based ones move
//! it to the system and back. Only behaviour checks cancel operations, with a buffer that is not used
//! again, so a workload's buffer always returns. Nothing here requires a future to be `Send`: the compiler checks that in `Runtime::spawn`, where the
//! runtime's types are known.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, Range};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

pub use crate::file_path::{FilePath, FileWrite};
pub use crate::outcome::Refusal;

use crate::block_on::block_on;
use crate::check_part::{ByteReader, Part, SharedStream};
use crate::description::{Description, RuntimeOption};
use crate::links::Idle;
use crate::ping_pong::Exchange;
use crate::plain_calls::Descriptor;
use crate::scene::Scene;
use crate::shared::Shared;

/// A library that can run trials, published by `export!`.
pub trait Adapter {
    fn describe() -> Description;

    /// What can be set about its executors; `scene.plan()` has what is set.
    fn options() -> Vec<RuntimeOption> {
        Vec::new()
    }

    /// Runs the scene's plan on the executor that it names, until the trial is over.
    fn run(scene: &'static Scene) -> Result<(), Refusal>;
}

/// One runtime, as a handle of which every task has a copy.
///
/// A method whose capability is not claimed is never called.
pub trait Runtime: Clone + 'static {
    type Listener: 'static;
    type Stream: 'static;
    /// A spawned task. Dropping one may cancel it: the suite always joins or detaches.
    type Join: 'static;
    /// The contents of a file, in the type that the runtime reads into.
    type Contents: Deref<Target = [u8]>;
    /// Locks, channels and barriers: the runtime's own, or `shared::ForAnyRuntime`.
    type Shared: Shared;

    /// Whether operations block the thread. Then the time between two of them counts as one poll.
    const CALLS_BLOCK: bool = false;

    /// Starts `task.run()` on the runtime.
    fn spawn(&self, task: Task<Self>) -> Self::Join;

    /// Waits for a task; returns an error if it did not complete.
    fn join(join: Self::Join) -> impl Future<Output = io::Result<()>>;

    /// Lets a task continue without being joined.
    fn detach(join: Self::Join) -> io::Result<()>;

    /// Cancels a task as users do, and waits until the runtime reports that it has ended.
    fn cancel(_join: Self::Join) -> impl Future<Output = ()> {
        async { panic!("{}", claimed_without("cancel", "cancel")) }
    }

    /// Listens on a loopback address; with `reuse_port` several roots share one port.
    fn listen(
        &self,
        address: SocketAddr,
        reuse_port: bool,
    ) -> impl Future<Output = io::Result<Self::Listener>>;

    fn local_port(listener: &Self::Listener) -> io::Result<u16>;

    /// Accepts the next connection and sets `TCP_NODELAY`.
    fn accept(listener: &mut Self::Listener) -> impl Future<Output = io::Result<Self::Stream>>;

    /// Opens a connection to a loopback address and sets `TCP_NODELAY`.
    fn connect(&self, _address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> {
        async { Err(io::Error::other(claimed_without("connect", "connect"))) }
    }

    /// Reads some bytes into `buffer[range]`; 0 means that the peer has closed.
    fn read(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> impl Future<Output = io::Result<usize>>;

    /// Writes some bytes of `buffer[range]`.
    fn write(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> impl Future<Output = io::Result<usize>>;

    /// Reads at most this many bytes, while other tasks use the stream as well.
    fn read_shared(
        _stream: &Self::Stream,
        _bytes: usize,
    ) -> impl Future<Output = io::Result<Vec<u8>>> {
        async { Err(io::Error::other(claimed_without("share", "read_shared"))) }
    }

    /// Writes some of these bytes, while other tasks use the stream as well.
    fn write_shared(
        _stream: &Self::Stream,
        _bytes: Vec<u8>,
    ) -> impl Future<Output = io::Result<usize>> {
        async { Err(io::Error::other(claimed_without("share", "write_shared"))) }
    }

    /// The stream's socket, for steps that bypass the runtime.
    fn descriptor(stream: &Self::Stream) -> Descriptor;

    /// Yields, as users of the runtime do.
    fn yield_now(&self) -> impl Future<Output = ()> {
        Self::step_aside()
    }

    /// Lets every other ready task run first, for `how: polling`. To be overridden only where a task
    /// that wakes itself is polled again at once.
    fn step_aside() -> impl Future<Output = ()> {
        yield_once()
    }

    /// Starts the runtime again on this thread, runs `_task.run()` on it and waits for it, as blocking
    /// code does that does not know that a task calls it.
    fn block_on(&self, _task: Task<Self>) -> Result<(), Refusal> {
        let reason = "the adapter has no `block_on`, so it cannot be nested";
        Err(Refusal::Unsupported(reason.to_owned()))
    }

    /// Waits for a future inside a task, on the spot, for `how: forced`. To be overridden where the
    /// runtime's own `block_on` may be called inside its tasks, without running others meanwhile.
    /// Elsewhere the thread is parked, as executors of other libraries do.
    fn wait_here<T>(future: impl Future<Output = T>) -> T {
        block_on(future)
    }

    fn sleep(&self, _time: Duration) -> impl Future<Output = ()> {
        async { panic!("{}", claimed_without("timers", "sleep")) }
    }

    /// Reads a whole file of unknown size, as users of the runtime do.
    fn read_file(&self, _path: FilePath) -> impl Future<Output = io::Result<Self::Contents>> {
        async { Err(io::Error::other(claimed_without("files", "read_file"))) }
    }

    /// Writes a whole file, which may exist, as users of the runtime do.
    fn write_file(&self, _write: FileWrite) -> impl Future<Output = io::Result<()>> {
        async { Err(io::Error::other(claimed_without("write-files", "write_file"))) }
    }

    /// Runs `_job` on the runtime's pool for blocking work.
    fn offload<T: Send + 'static>(
        &self,
        _job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> {
        async { Err(io::Error::other(claimed_without("offload", "offload"))) }
    }

    /// A function that starts a task, which is not joined, from any thread.
    fn spawner(&self) -> Spawner {
        panic!("{}", claimed_without("foreign-spawn", "spawner"))
    }
}

/// For threads that are not the runtime's.
pub type Spawner = Box<dyn Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send>;

fn claimed_without(capability: &str, method: &str) -> String {
    format!(
        "the adapter claims `{capability}` without the method `{method}`: write it or claim less"
    )
}

/// Yields once: the task wakes itself and returns `Pending`.
pub fn yield_once() -> impl Future<Output = ()> + Send {
    let mut yielded = false;
    poll_fn(move |context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Work that an adapter spawns as `task.run()`.
///
/// It owns everything it needs, so only the runtime's types decide whether its future is `Send`.
pub struct Task<R: Runtime> {
    pub(crate) unended: Unended,
    pub(crate) runtime: R,
    pub(crate) idle: Idle<R::Stream>,
    pub(crate) work: Work<R>,
}

/// Counts a task that the runtime drops before it has run to its end.
pub(crate) struct Unended(pub(crate) &'static Scene);

impl Unended {
    pub(crate) fn ended(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unended {
    fn drop(&mut self) {
        self.0.count_dropped_task();
    }
}

pub(crate) enum Work<R: Runtime> {
    /// Reads the parent's messages to one root. `alive` is held as long as the task lives.
    Control {
        listener: R::Listener,
        root: usize,
        roots: usize,
        alive: Arc<()>,
    },
    /// Accepts connections and spawns a task for each.
    Accept {
        listener: R::Listener,
    },
    /// Serves one connection.
    Serve {
        stream: R::Stream,
    },
    /// One task of a group.
    Member {
        group: usize,
        index: u32,
    },
    /// A task spawned by a step. `alive` is held until it has ended.
    Child {
        program: usize,
        place: Place,
        alive: Option<Arc<()>>,
    },
    /// The second task of a ping-pong.
    Partner {
        exchange: Arc<Exchange>,
        rounds: u32,
    },
    /// A part of a behaviour check.
    Check(Part),
    /// The same, with a stream.
    CheckRead(ByteReader<R::Stream>),
    CheckShared(SharedStream<R::Stream>),
}

impl<R: Runtime> Task<R> {
    pub(crate) fn new(scene: &'static Scene, runtime: &R, work: Work<R>) -> Self {
        Self { unended: Unended(scene), runtime: runtime.clone(), idle: Idle::NONE, work }
    }

    /// With its root's connections to backends.
    pub(crate) fn with(self, idle: Idle<R::Stream>) -> Self {
        Self { idle, ..self }
    }
}

/// The index of a task in its group, and the group's size: they select its files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) index: u32,
    pub(crate) of: u32,
}

impl Place {
    pub(crate) const CONNECTION: Place = Place { index: 0, of: 1 };

    pub(crate) fn member(index: u32, of: u32) -> Self {
        Self { index, of }
    }
}

/// Spawns a task that is not joined.
pub(crate) fn launch<R: Runtime>(
    scene: &'static Scene,
    runtime: &R,
    idle: Idle<R::Stream>,
    work: Work<R>,
) {
    if let Err(error) = R::detach(runtime.spawn(Task::new(scene, runtime, work).with(idle))) {
        scene.count_error(format!("a task could not be started: {error}"));
    }
}

/// Waits for an operation of the runtime. If its calls block, the wait is excluded from the poll.
/// A macro, because a function would store the operation twice.
macro_rules! waiting {
    ($runtime:ty, $scene:expr, $operation:expr $(,)?) => {{
        if <$runtime as Runtime>::CALLS_BLOCK {
            $scene.meter().pause();
        }
        let result = $operation.await;
        if <$runtime as Runtime>::CALLS_BLOCK {
            $scene.meter().resume();
        }
        result
    }};
}
pub(crate) use waiting;

//! What an adapter teaches the suite about one runtime.
//!
//! I/O lends a whole buffer: readiness-based runtimes use it where it lies, completion-based ones
//! take it out, hand it to the system and put it back. Nobody gives up an operation half-way, so
//! it always comes back. Nothing here asks a future to be `Send`: `Runtime::spawn`
//! is written where the runtime's types are known, so the compiler checks it there.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, Range};
use std::path::Path;
use std::time::Duration;

use crate::description::Description;
use crate::plain_calls::Descriptor;
use crate::scene::Scene;
use crate::task::Task;

/// A library that can run trials; what `export!` publishes.
pub trait Adapter {
    fn describe() -> Description;

    /// Runs the scene's plan on the executor that the plan names, until it is over.
    fn run(scene: &'static Scene) -> Result<(), Refusal>;
}

/// One runtime, as a handle that every task carries a copy of.
///
/// A method whose capability is not claimed is never called. A default that is called all the
/// same says what the adapter lacks.
pub trait Runtime: Clone + 'static {
    type Listener: 'static;
    type Stream: 'static;
    /// A spawned task. Dropping one may cancel it: the suite always joins or detaches.
    type Join: 'static;
    /// A file's contents, in whatever the runtime reads them into.
    type Contents: Deref<Target = [u8]>;

    /// Whether operations wait inside the call and hold the thread. Then the stretch between
    /// two of them is what counts as one poll.
    const CALLS_BLOCK: bool = false;

    /// Starts `task.run()` on the runtime.
    fn spawn(&self, task: Task<Self>) -> Self::Join;

    /// Waits for a task; an error means that it could not run to its end.
    fn join(join: Self::Join) -> impl Future<Output = io::Result<()>>;

    /// Lets a task run on by itself.
    fn detach(join: Self::Join) -> io::Result<()>;

    /// Listens on a loopback address; with `reuse_port` several roots share one port.
    fn listen(
        &self,
        address: SocketAddr,
        reuse_port: bool,
    ) -> impl Future<Output = io::Result<Self::Listener>>;

    fn local_port(listener: &Self::Listener) -> io::Result<u16>;

    /// The next connection, with Nagle's delay switched off.
    fn accept(listener: &mut Self::Listener) -> impl Future<Output = io::Result<Self::Stream>>;

    /// Reads some bytes into `buffer[range]`; 0 means that the peer has ended.
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

    /// The stream's socket, for the steps that bypass the runtime.
    fn descriptor(stream: &Self::Stream) -> Descriptor;

    /// Lets others run, as the runtime's users do it.
    fn yield_now(&self) -> impl Future<Output = ()> {
        Self::step_aside()
    }

    /// Lets every other task that is ready run first: how the suite itself waits by polling.
    /// To be written anew only where a task that wakes itself gets its next turn at once.
    fn step_aside() -> impl Future<Output = ()> {
        crate::yielding::yield_once()
    }

    fn sleep(&self, _time: Duration) -> impl Future<Output = ()> {
        async { panic!("{}", claimed_without("timers", "sleep")) }
    }

    /// Reads a whole file, whose size it has to find out, the way the runtime's users would.
    fn read_file(&self, _path: FilePath) -> impl Future<Output = io::Result<Self::Contents>> {
        async { Err(io::Error::other(claimed_without("files", "read_file"))) }
    }

    /// Runs `_job` on the runtime's pool for blocking work.
    fn offload<T: Send + 'static>(
        &self,
        _job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> {
        async { Err(io::Error::other(claimed_without("offload", "offload"))) }
    }
}

fn claimed_without(capability: &str, method: &str) -> String {
    format!(
        "the adapter claims `{capability}` without the method `{method}`: write it or claim less"
    )
}

/// A file of the trial, as runtimes take paths. A type of its own because the compiler proves
/// `Send` for a future that holds it, which it fails to do for one that holds a bare reference.
#[derive(Debug, Clone, Copy)]
pub struct FilePath(pub(crate) &'static Path);

impl AsRef<Path> for FilePath {
    fn as_ref(&self) -> &Path {
        self.0
    }
}

/// Why an adapter does not run a plan.
#[derive(Debug)]
pub enum Refusal {
    /// It cannot be done here; the text names the remedy where there is one.
    Unsupported(String),
    Failed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unsupported(reason) | Refusal::Failed(reason) => formatter.write_str(reason),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Refusal::Failed(format!("the runtime could not be started: {error}"))
    }
}

//! monoio: an executor for each core, which shares nothing with the others; sockets and files by
//! io_uring, or sockets by epoll, where a file is read on the spot. Blocking work goes to a pool
//! that all share.

use std::future::Future;
use std::io;
use std::mem::take;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use monoio::blocking::DefaultThreadPool;
use monoio::buf::{IoBuf, IoBufMut};
use monoio::io::{AsyncReadRent, AsyncWriteRent};
use monoio::net::{ListenerOpts, TcpListener, TcpStream};
use monoio::task::JoinHandle;
use monoio::time::TimeDriver;
use monoio::{Buildable, Driver, IoUringDriver, LegacyDriver, RuntimeBuilder};
use quadrant_suite::description::{Capability, Description, Executor, Topology, Workers};
use quadrant_suite::plain_calls::Descriptor;
use quadrant_suite::runtime::Task;
use quadrant_suite::runtime::{Adapter, FilePath, FileWrite, Refusal, Runtime};
use quadrant_suite::scene::Scene;
use quadrant_suite::shared::ForAnyRuntime;

quadrant_suite::export!(Monoio);

/// monoio finds its executor in a thread-local, so the handle only holds what starts another one.
#[derive(Clone)]
struct Monoio {
    /// On the same driver.
    block_on: fn(Task<Monoio>) -> Result<(), Refusal>,
}

impl Adapter for Monoio {
    fn describe() -> Description {
        let executor = |backend: &str| Executor {
            executor: "per-core".to_owned(),
            backend: backend.to_owned(),
            topology: Topology::PerCore,
            workers: Workers::Many,
            capabilities: [
                Capability::Echo,
                Capability::Tcp,
                Capability::Tasks,
                Capability::Timers,
                Capability::Files,
                Capability::WriteFiles,
                Capability::Offload,
                Capability::Shutdown,
                Capability::Connect,
            ]
            .into(),
            tasks_max: None,
            memlock_bytes_min: 0,
        };
        Description {
            runtime: "monoio".to_owned(),
            version: quadrant_suite::locked_version!("monoio"),
            note: None,
            executors: vec![executor("io_uring"), executor("epoll")],
        }
    }

    fn run(scene: &'static Scene) -> Result<(), Refusal> {
        let plan = scene.plan();
        let work = match (plan.executor.as_str(), plan.backend.as_str()) {
            ("per-core", "io_uring") => work::<IoUringDriver>,
            ("per-core", "epoll") => work::<LegacyDriver>,
            _ => return Err(scene.unknown_executor()),
        };
        let workers = plan.workers as usize;
        // monoio leaves the size to its user; the crate below uses one thread per CPU.
        let pool = DefaultThreadPool::new(thread::available_parallelism()?.get());
        let start = |root| {
            let pool = pool.clone();
            let work = move || work(scene, root, workers, pool);
            thread::Builder::new().name("monoio".to_owned()).spawn(work)
        };
        for worker in (0..workers).map(start).collect::<io::Result<Vec<_>>>()? {
            worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        Ok(())
    }
}

/// One worker with its root.
fn work<D>(scene: &'static Scene, root: usize, workers: usize, pool: DefaultThreadPool)
where
    D: Driver + Buildable + 'static,
{
    let builder = RuntimeBuilder::<TimeDriver<D>>::new().attach_thread_pool(Box::new(pool));
    match Buildable::build(builder) {
        Ok(mut runtime) => {
            let handle = Monoio { block_on: block_on::<D> };
            runtime.block_on(scene.root_of(handle, root, workers));
        }
        // Refused at once, because the other workers would wait for this one.
        Err(error) if scene.plan().backend == "io_uring" => {
            let reason = format!("monoio could not set up its rings: {error}");
            scene.refuse(Refusal::Unsupported(reason));
        }
        Err(error) => scene.refuse(error.into()),
    }
}

fn block_on<D: Driver + Buildable + 'static>(task: Task<Monoio>) -> Result<(), Refusal> {
    let builder = RuntimeBuilder::<TimeDriver<D>>::new();
    Buildable::build(builder)?.block_on(task.run());
    Ok(())
}

impl Runtime for Monoio {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Join = JoinHandle<()>;
    type Contents = Vec<u8>;
    type Shared = ForAnyRuntime;

    fn spawn(&self, task: Task<Self>) -> Self::Join {
        monoio::spawn(task.run())
    }

    async fn join(join: Self::Join) -> io::Result<()> {
        join.await;
        Ok(())
    }

    fn detach(join: Self::Join) -> io::Result<()> {
        drop(join);
        Ok(())
    }

    /// monoio's own listener has a backlog of 1,024.
    async fn listen(&self, address: SocketAddr, reuse_port: bool) -> io::Result<Self::Listener> {
        TcpListener::bind_with_config(address, &ListenerOpts::new().reuse_port(reuse_port))
    }

    fn local_port(listener: &Self::Listener) -> io::Result<u16> {
        Ok(listener.local_addr()?.port())
    }

    async fn accept(listener: &mut Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Stream> {
        let stream = TcpStream::connect_addr(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// As a boxed slice: monoio truncates a `Vec` to the bytes that it has read, and extending it
    /// again would fill the rest of a large request with zeros at every read.
    async fn read(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        let whole = take(buffer).into_boxed_slice();
        let (read, part) = stream.read(whole.slice_mut(range)).await;
        *buffer = part.into_inner().into_vec();
        read
    }

    async fn write(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        let (written, part) = stream.write(take(buffer).slice(range)).await;
        *buffer = part.into_inner();
        written
    }

    fn descriptor(stream: &Self::Stream) -> Descriptor {
        stream.as_raw_fd()
    }

    /// monoio 0.2 puts a task that wakes itself at the front of its queue, so no other task would
    /// run. A task that another one wakes goes to the end.
    fn step_aside() -> impl Future<Output = ()> {
        monoio::spawn(async {})
    }

    fn block_on(&self, task: Task<Self>) -> Result<(), Refusal> {
        (self.block_on)(task)
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        monoio::time::sleep(time)
    }

    fn read_file(&self, path: FilePath) -> impl Future<Output = io::Result<Vec<u8>>> {
        monoio::fs::read(path)
    }

    async fn write_file(&self, write: FileWrite) -> io::Result<()> {
        if !write.sync {
            return monoio::fs::write(write.path, write.contents()).await.0;
        }
        let file = monoio::fs::File::create(write.path).await?;
        file.write_all_at(write.contents(), 0).await.0?;
        file.sync_all().await?;
        file.close().await
    }

    async fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let done = monoio::spawn_blocking(job).await;
        done.map_err(|_| io::Error::other("the pool dropped the job"))
    }
}

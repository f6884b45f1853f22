//! tokio: a work-stealing scheduler on several threads (`multi-thread`), everything on the current
//! thread (`current-thread`, or `local` for tasks in a `LocalSet`), or a current-thread runtime for
//! each worker (`per-core`). Sockets by epoll, files on the pool for blocking work. Variants wait by
//! poll(2), or read files through io_uring.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::thread;
use std::time::Duration;

use quadrant_suite::description::{
    Capability, Description, Executor, RuntimeOption, Topology, Workers,
};
use quadrant_suite::plain_calls::Descriptor;
use quadrant_suite::runtime::Task;
use quadrant_suite::runtime::{Adapter, FilePath, FileWrite, Refusal, Runtime, Spawner};
use quadrant_suite::scene::Scene;
use std::os::fd::AsRawFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime as TokioRuntime};
use tokio::task::{JoinHandle, LocalSet};

mod shared;

quadrant_suite::export!(Tokio);

/// Chosen at build time, for the whole process.
const BACKEND: &str = if cfg!(mio_unsupported_force_poll_poll) {
    "poll"
} else if cfg!(all(tokio_unstable, feature = "io-uring")) {
    "epoll+ring"
} else if cfg!(tokio_unstable) {
    "epoll+unstable"
} else {
    "epoll"
};

struct Tokio;

/// tokio finds its runtime in a thread-local, so the handle only holds where tasks are spawned.
#[derive(Clone)]
struct Handle {
    /// Tasks belong to a `LocalSet`.
    local: bool,
}

impl Adapter for Tokio {
    fn describe() -> Description {
        let executor = |executor: &str, topology, workers| {
            let mut capabilities = BTreeSet::from([
                Capability::Echo,
                Capability::Tcp,
                Capability::Tasks,
                Capability::Timers,
                Capability::Files,
                Capability::WriteFiles,
                Capability::Offload,
                Capability::Shutdown,
                Capability::ForeignSpawn,
                Capability::Cancel,
                Capability::Share,
                Capability::Connect,
            ]);
            if executor == "local" {
                // A `LocalSet` has no handle for other threads.
                capabilities.remove(&Capability::ForeignSpawn);
            }
            Executor {
                executor: executor.to_owned(),
                backend: BACKEND.to_owned(),
                topology,
                workers,
                capabilities,
                tasks_max: None,
                memlock_bytes_min: 0,
            }
        };
        Description {
            runtime: "tokio".to_owned(),
            version: quadrant_suite::locked_version!("tokio"),
            note: None,
            executors: vec![
                executor("multi-thread", Topology::Shared, Workers::Many),
                executor("current-thread", Topology::Shared, Workers::One),
                executor("local", Topology::Shared, Workers::One),
                executor("per-core", Topology::PerCore, Workers::Many),
            ],
        }
    }

    fn options() -> Vec<RuntimeOption> {
        const INTERVAL: RangeInclusive<u64> = 1..=u32::MAX as u64;
        let mut options = vec![
            RuntimeOption::number(
                "event-interval",
                INTERVAL,
                "61",
                "polls of tasks after which a scheduler looks for I/O and timers",
            ),
            RuntimeOption::number(
                "global-queue-interval",
                INTERVAL,
                "31, or in multi-thread by the time that polls take",
                "polls of tasks after which a scheduler looks into the queue of all workers",
            ),
            RuntimeOption::number(
                "blocking-threads",
                1..=10_000,
                "512",
                "threads that the pool for blocking work may have",
            ),
            RuntimeOption::switch(
                "sharded-blocking-queue",
                "off",
                "several queues for blocking work, each with a lock of its own",
            )
            .by_variable("TOKIO_UNSTABLE_SHARDED_BLOCKING_QUEUE"),
        ];
        if cfg!(tokio_unstable) {
            let switch = |name, default, meaning| {
                RuntimeOption::switch(name, default, meaning).of(&["multi-thread"])
            };
            options.extend([
                switch("lifo", "on", "a task that was just woken runs next, on the same worker"),
                switch("alt-timer", "off", "the alternative timer, without a lock for all workers"),
            ]);
            if cfg!(not(feature = "io-uring")) {
                options.push(switch(
                    "eager-driver-handoff",
                    "off",
                    "a worker that waited for events wakes another to do so, before it polls tasks",
                ));
            }
        }
        options
    }

    fn run(scene: &'static Scene) -> Result<(), Refusal> {
        let workers = scene.plan().workers as usize;
        match scene.plan().executor.as_str() {
            "multi-thread" => multi_thread(scene)?.block_on(scene.root(Handle { local: false })),
            "current-thread" => {
                current_thread(scene)?.block_on(scene.root(Handle { local: false }));
            }
            "local" => LocalSet::new()
                .block_on(&current_thread(scene)?, scene.root(Handle { local: true })),
            "per-core" => run_per_core(scene, workers)?,
            _ => return Err(scene.unknown_executor()),
        }
        Ok(())
    }
}

fn multi_thread(scene: &Scene) -> io::Result<TokioRuntime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(scene.plan().workers as usize).enable_all();
    #[cfg(tokio_unstable)]
    {
        let plan = scene.plan();
        if plan.is_set("lifo", "off") {
            builder.disable_lifo_slot();
        }
        if plan.is_set("alt-timer", "on") {
            builder.enable_alt_timer();
        }
        // Since tokio 1.52. The ring is older, and stays usable with older versions.
        #[cfg(not(feature = "io-uring"))]
        if plan.is_set("eager-driver-handoff", "on") {
            builder.enable_eager_driver_handoff();
        }
    }
    set_numbers(&mut builder, scene).build()
}

fn current_thread(scene: &Scene) -> io::Result<TokioRuntime> {
    let mut builder = Builder::new_current_thread();
    set_numbers(builder.enable_all(), scene).build()
}

/// The options that every scheduler has.
fn set_numbers<'a>(builder: &'a mut Builder, scene: &Scene) -> &'a mut Builder {
    let plan = scene.plan();
    if let Some(polls) = plan.number("event-interval") {
        builder.event_interval(polls as u32);
    }
    if let Some(polls) = plan.number("global-queue-interval") {
        builder.global_queue_interval(polls as u32);
    }
    if let Some(threads) = plan.number("blocking-threads") {
        builder.max_blocking_threads(threads as usize);
    }
    builder
}

/// A runtime of its own for each worker, on its own thread.
fn run_per_core(scene: &'static Scene, workers: usize) -> Result<(), Refusal> {
    let start = |root| {
        let work = move || match current_thread(scene) {
            Ok(runtime) => {
                runtime.block_on(scene.root_of(Handle { local: false }, root, workers));
            }
            // Refused at once, because the other workers would wait for this one.
            Err(error) => scene.refuse(error.into()),
        };
        thread::Builder::new().name("tokio-per-core".to_owned()).spawn(work)
    };
    for worker in (0..workers).map(start).collect::<io::Result<Vec<_>>>()? {
        worker.join().map_err(|_| Refusal::Failed("a worker panicked".to_owned()))?;
    }
    Ok(())
}

impl Runtime for Handle {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Join = JoinHandle<()>;
    type Contents = Vec<u8>;
    type Shared = shared::OfTokio;

    fn spawn(&self, task: Task<Self>) -> Self::Join {
        if self.local { tokio::task::spawn_local(task.run()) } else { tokio::spawn(task.run()) }
    }

    async fn join(join: Self::Join) -> io::Result<()> {
        Ok(join.await?)
    }

    fn detach(join: Self::Join) -> io::Result<()> {
        drop(join);
        Ok(())
    }

    async fn cancel(join: Self::Join) {
        join.abort();
        let _ = join.await;
    }

    async fn listen(&self, address: SocketAddr, reuse_port: bool) -> io::Result<Self::Listener> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(reuse_port)?;
        socket.bind(address)?;
        socket.listen(1024)
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
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        stream.read(&mut buffer[range]).await
    }

    async fn write(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        stream.write(&buffer[range]).await
    }

    async fn read_shared(stream: &Self::Stream, bytes: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        let count = stream.async_io(Interest::READABLE, || stream.try_read(&mut buffer)).await?;
        buffer.truncate(count);
        Ok(buffer)
    }

    async fn write_shared(stream: &Self::Stream, bytes: Vec<u8>) -> io::Result<usize> {
        stream.async_io(Interest::WRITABLE, || stream.try_write(&bytes)).await
    }

    fn descriptor(stream: &Self::Stream) -> Descriptor {
        stream.as_raw_fd()
    }

    fn yield_now(&self) -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }

    fn block_on(&self, task: Task<Self>) -> Result<(), Refusal> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        if self.local {
            LocalSet::new().block_on(&runtime, task.run());
        } else {
            runtime.block_on(task.run());
        }
        Ok(())
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep(time)
    }

    fn read_file(&self, path: FilePath) -> impl Future<Output = io::Result<Vec<u8>>> {
        tokio::fs::read(path)
    }

    async fn write_file(&self, write: FileWrite) -> io::Result<()> {
        if !write.sync {
            return tokio::fs::write(write.path, write.contents()).await;
        }
        let mut file = tokio::fs::File::create(write.path).await?;
        file.write_all(write.contents()).await?;
        file.sync_all().await
    }

    async fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        Ok(tokio::task::spawn_blocking(job).await?)
    }

    fn spawner(&self) -> Spawner {
        let handle = tokio::runtime::Handle::current();
        Box::new(move |future| drop(handle.spawn(future)))
    }
}

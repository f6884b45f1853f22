//! smol: an executor that several threads run, or only the current one. An idle thread waits in the
//! reactor for all. Sockets by epoll (by poll(2) in a variant), timers in the reactor, files on the
//! pool for blocking work.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use quadrant_suite::description::{
    Capability, Description, Executor, RuntimeOption, Topology, Workers,
};
use quadrant_suite::plain_calls::{self, Descriptor};
use quadrant_suite::runtime::Task;
use quadrant_suite::runtime::{Adapter, FilePath, FileWrite, Refusal, Runtime, Spawner};
use quadrant_suite::scene::Scene;
use quadrant_suite::shared::ForAnyRuntime;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};

quadrant_suite::export!(Smol);

/// Chosen at build time, for the whole process.
const BACKEND: &str = if cfg!(polling_test_poll_backend) { "poll" } else { "epoll" };

/// The executor that tasks are spawned on: the static one, like smol's own, unless the thread has
/// made one for itself. That one ends with its thread, so its tasks do not keep it.
#[derive(Clone)]
struct Smol(Option<Weak<smol::Executor<'static>>>);

static EXECUTOR: smol::Executor<'static> = smol::Executor::new();

impl Smol {
    fn start(&self, future: impl Future<Output = ()> + Send + 'static) -> smol::Task<()> {
        match &self.0 {
            None => EXECUTOR.spawn(future),
            Some(own) => own.upgrade().expect("its executor has not ended").spawn(future),
        }
    }
}

impl Adapter for Smol {
    fn describe() -> Description {
        let executor = |executor: &str, workers, more: &[Capability]| Executor {
            executor: executor.to_owned(),
            backend: BACKEND.to_owned(),
            topology: Topology::Shared,
            workers,
            capabilities: [
                Capability::Echo,
                Capability::Tcp,
                Capability::Tasks,
                Capability::Timers,
                Capability::Files,
                Capability::WriteFiles,
                Capability::Offload,
                Capability::ForeignSpawn,
                Capability::Cancel,
                Capability::Share,
                Capability::Connect,
            ]
            .iter()
            .chain(more)
            .copied()
            .collect(),
            tasks_max: None,
            memlock_bytes_min: 0,
        };
        Description {
            runtime: "smol".to_owned(),
            version: quadrant_suite::locked_version!("smol"),
            note: None,
            executors: vec![
                executor("multi-thread", Workers::Many, &[]),
                executor("single-thread", Workers::One, &[Capability::Shutdown]),
            ],
        }
    }

    fn options() -> Vec<RuntimeOption> {
        vec![
            RuntimeOption::number(
                "threads",
                1..=1_000,
                "the workers of the case",
                "threads that run the executor, as SMOL_THREADS sets them for smol's own",
            )
            .of(&["multi-thread"]),
            RuntimeOption::number(
                "blocking-threads",
                1..=10_000,
                "500",
                "threads that the pool for blocking work may have",
            )
            .by_variable("BLOCKING_MAX_THREADS"),
        ]
    }

    fn run(scene: &'static Scene) -> Result<(), Refusal> {
        match scene.plan().executor.as_str() {
            "multi-thread" => {
                let plan = scene.plan();
                for _ in 0..plan.number("threads").unwrap_or(plan.workers.into()) {
                    thread::Builder::new()
                        .name("smol-worker".to_owned())
                        .spawn(|| smol::block_on(EXECUTOR.run(smol::future::pending::<()>())))?;
                }
                // As smol's users write it. This thread may wait in the reactor too; if that brings
                // events for the workers only, it stops and just waits for the end.
                smol::block_on(scene.root(Smol(None)));
            }
            "single-thread" => {
                let executor = Arc::new(smol::Executor::new());
                let handle = Smol(Some(Arc::downgrade(&executor)));
                smol::block_on(executor.run(scene.root(handle)));
            }
            _ => return Err(scene.unknown_executor()),
        }
        Ok(())
    }
}

impl Runtime for Smol {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Join = smol::Task<()>;
    type Contents = Vec<u8>;
    type Shared = ForAnyRuntime;

    fn spawn(&self, task: Task<Self>) -> Self::Join {
        self.start(task.run())
    }

    async fn join(join: Self::Join) -> io::Result<()> {
        join.await;
        Ok(())
    }

    fn detach(join: Self::Join) -> io::Result<()> {
        join.detach();
        Ok(())
    }

    async fn cancel(join: Self::Join) {
        join.cancel().await;
    }

    async fn listen(&self, address: SocketAddr, _reuse_port: bool) -> io::Result<Self::Listener> {
        plain_calls::listen(address)?.try_into()
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
        let count = stream.clone().read(&mut buffer).await?;
        buffer.truncate(count);
        Ok(buffer)
    }

    async fn write_shared(stream: &Self::Stream, bytes: Vec<u8>) -> io::Result<usize> {
        stream.clone().write(&bytes).await
    }

    fn descriptor(stream: &Self::Stream) -> Descriptor {
        stream.as_raw_fd()
    }

    fn yield_now(&self) -> impl Future<Output = ()> {
        smol::future::yield_now()
    }

    fn block_on(&self, task: Task<Self>) -> Result<(), Refusal> {
        smol::block_on(task.run());
        Ok(())
    }

    fn wait_here<T>(future: impl Future<Output = T>) -> T {
        smol::block_on(future)
    }

    async fn sleep(&self, time: Duration) {
        smol::Timer::after(time).await;
    }

    fn read_file(&self, path: FilePath) -> impl Future<Output = io::Result<Vec<u8>>> {
        smol::fs::read(path)
    }

    async fn write_file(&self, write: FileWrite) -> io::Result<()> {
        if !write.sync {
            return smol::fs::write(write.path, write.contents()).await;
        }
        let mut file = smol::fs::File::create(write.path).await?;
        file.write_all(write.contents()).await?;
        file.sync_all().await
    }

    async fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        Ok(smol::unblock(job).await)
    }

    fn spawner(&self) -> Spawner {
        let own = self.clone();
        Box::new(move |future| own.start(future).detach())
    }
}

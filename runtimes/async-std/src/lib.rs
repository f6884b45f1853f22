//! async-std: one global executor on several threads, started by its first task; sockets by
//! epoll, or in another build of it by poll(2), timers in the reactor, files on the pool for
//! blocking work.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::Duration;

use async_global_executor::GlobalExecutorConfig;
use async_std::io::{ReadExt, WriteExt};
use async_std::net::{TcpListener, TcpStream};
use async_std::task::{self, JoinHandle};
use quadrant_suite::description::{Capability, Description, Executor, Topology, Workers};
use quadrant_suite::plain_calls::{self, Descriptor};
use quadrant_suite::runtime::Task;
use quadrant_suite::runtime::{Adapter, FilePath, FileWrite, Refusal, Runtime, Spawner};
use quadrant_suite::scene::Scene;
use quadrant_suite::shared::ForAnyRuntime;

quadrant_suite::export!(AsyncStd);

/// Chosen at build time, for the whole process.
const BACKEND: &str = if cfg!(polling_test_poll_backend) { "poll" } else { "epoll" };

/// There is one executor per process, so the handle is empty.
#[derive(Clone)]
struct AsyncStd;

impl Adapter for AsyncStd {
    fn describe() -> Description {
        Description {
            runtime: "async-std".to_owned(),
            version: quadrant_suite::locked_version!("async-std"),
            note: Some(
                "discontinued since 2025; its README points to smol (RUSTSEC-2025-0052)".to_owned(),
            ),
            executors: vec![Executor {
                executor: "multi-thread".to_owned(),
                backend: BACKEND.to_owned(),
                topology: Topology::Shared,
                workers: Workers::Many,
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
                .into(),
                tasks_max: None,
                memlock_bytes_min: 0,
            }],
        }
    }

    fn run(scene: &'static Scene) -> Result<(), Refusal> {
        if scene.plan().executor != "multi-thread" {
            return Err(scene.unknown_executor());
        }
        // async-std reads its number of threads from the environment only. The executor below it
        // keeps the first configuration that it is given, which is this one.
        async_global_executor::init_with_config(
            GlobalExecutorConfig::default()
                .with_min_threads(scene.plan().workers as usize)
                .with_thread_name_fn(|| "async-std/runtime".to_owned()),
        );
        task::block_on(scene.root(AsyncStd));
        Ok(())
    }
}

impl Runtime for AsyncStd {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Join = JoinHandle<()>;
    type Contents = Vec<u8>;
    type Shared = ForAnyRuntime;

    fn spawn(&self, task: Task<Self>) -> Self::Join {
        task::spawn(task.run())
    }

    async fn join(join: Self::Join) -> io::Result<()> {
        join.await;
        Ok(())
    }

    fn detach(join: Self::Join) -> io::Result<()> {
        drop(join);
        Ok(())
    }

    async fn cancel(join: Self::Join) {
        join.cancel().await;
    }

    async fn listen(&self, address: SocketAddr, _reuse_port: bool) -> io::Result<Self::Listener> {
        Ok(plain_calls::listen(address)?.into())
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
        let count = (&*stream).read(&mut buffer).await?;
        buffer.truncate(count);
        Ok(buffer)
    }

    async fn write_shared(stream: &Self::Stream, bytes: Vec<u8>) -> io::Result<usize> {
        (&*stream).write(&bytes).await
    }

    fn descriptor(stream: &Self::Stream) -> Descriptor {
        stream.as_raw_fd()
    }

    fn yield_now(&self) -> impl Future<Output = ()> {
        task::yield_now()
    }

    fn block_on(&self, task: Task<Self>) -> Result<(), Refusal> {
        task::block_on(task.run());
        Ok(())
    }

    fn wait_here<T>(future: impl Future<Output = T>) -> T {
        task::block_on(future)
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        task::sleep(time)
    }

    async fn read_file(&self, path: FilePath) -> io::Result<Vec<u8>> {
        let path: &std::path::Path = path.as_ref();
        async_std::fs::read(path).await
    }

    async fn write_file(&self, write: FileWrite) -> io::Result<()> {
        let path: &std::path::Path = write.path.as_ref();
        if !write.sync {
            return async_std::fs::write(path, write.contents()).await;
        }
        let mut file = async_std::fs::File::create(path).await?;
        file.write_all(write.contents()).await?;
        file.sync_all().await
    }

    async fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        Ok(task::spawn_blocking(job).await)
    }

    fn spawner(&self) -> Spawner {
        Box::new(|future| drop(task::spawn(future)))
    }
}

//! glommio: an executor for each core, which shares nothing with the others. Everything waits in
//! io_uring; a thread beside each executor does its blocking work.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use glommio::io::{BufferedFile, ReadResult};
use glommio::net::{TcpListener, TcpStream};
use glommio::{
    BuilderErrorKind, CpuSet, GlommioError, LocalExecutorBuilder, LocalExecutorPoolBuilder,
    PoolPlacement,
};
use quadrant_suite::description::{
    Capability, Description, Executor, RuntimeOption, Topology, Workers,
};
use quadrant_suite::plain_calls::Descriptor;
use quadrant_suite::runtime::Task;
use quadrant_suite::runtime::{Adapter, FilePath, FileWrite, Refusal, Runtime};
use quadrant_suite::scene::Scene;
use quadrant_suite::shared::ForAnyRuntime;

quadrant_suite::export!(Glommio);

/// glommio finds its executor in a thread-local, so the handle is empty.
#[derive(Clone)]
struct Glommio;

impl Adapter for Glommio {
    fn describe() -> Description {
        Description {
            runtime: "glommio".to_owned(),
            version: quadrant_suite::locked_version!("glommio"),
            note: None,
            executors: vec![Executor {
                executor: "per-core".to_owned(),
                backend: "io_uring".to_owned(),
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
                    Capability::Cancel,
                    Capability::Connect,
                ]
                .into(),
                tasks_max: None,
                // glommio checks this against the limit of the process, for any number of workers.
                memlock_bytes_min: 512 * 1024,
            }],
        }
    }

    fn options() -> Vec<RuntimeOption> {
        vec![RuntimeOption::number(
            "spin",
            0..=1_000_000,
            "0",
            "microseconds in which an idle executor looks for events before its thread sleeps",
        )]
    }

    fn run(scene: &'static Scene) -> Result<(), Refusal> {
        if scene.plan().executor != "per-core" {
            return Err(scene.unknown_executor());
        }
        let workers = scene.plan().workers as usize;
        let roots = Arc::new(AtomicUsize::new(0));
        let next = Arc::clone(&roots);
        let refusal = |error| refusal(error, roots.load(Ordering::Relaxed) > 0);
        // Unbound: the harness pins the process from outside.
        let mut builder = LocalExecutorPoolBuilder::new(PoolPlacement::Unbound(workers));
        if let Some(micros) = scene.plan().number("spin") {
            // An unbound executor never spins.
            let placement = PoolPlacement::Fenced(workers, allowed_cpus().map_err(refusal)?);
            builder = LocalExecutorPoolBuilder::new(placement)
                .spin_before_park(Duration::from_micros(micros));
        }
        let pool = builder
            .name("glommio")
            .on_all_shards(move || {
                // Those that have started so far.
                let root = next.fetch_add(1, Ordering::Relaxed);
                scene.root_of(Glommio, root, workers)
            })
            .map_err(refusal)?;
        pool.join_all().into_iter().collect::<Result<Vec<()>, _>>().map_err(refusal)?;
        Ok(())
    }
}

/// Those that the harness has pinned the process to.
fn allowed_cpus() -> Result<CpuSet, GlommioError<()>> {
    let allowed = rustix::thread::sched_getaffinity(None).map_err(io::Error::from)?;
    Ok(CpuSet::online()?.filter(|location| allowed.is_set(location.cpu)))
}

fn refusal(error: GlommioError<()>, has_begun: bool) -> Refusal {
    match error {
        // Its panic message would not help.
        GlommioError::BuilderError(BuilderErrorKind::ThreadPanic(_)) if !has_begun => {
            Refusal::Unsupported(
                "glommio panicked before it began, as it does without io_uring".to_owned(),
            )
        }
        error => Refusal::Failed(error.to_string()),
    }
}

impl Runtime for Glommio {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Join = glommio::Task<()>;
    type Contents = ReadResult;
    type Shared = ForAnyRuntime;

    fn spawn(&self, task: Task<Self>) -> Self::Join {
        glommio::spawn_local(task.run())
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

    /// glommio lets every listener share its port.
    async fn listen(&self, address: SocketAddr, _reuse_port: bool) -> io::Result<Self::Listener> {
        Ok(TcpListener::bind(address)?)
    }

    fn local_port(listener: &Self::Listener) -> io::Result<u16> {
        Ok(listener.local_addr()?.port())
    }

    async fn accept(listener: &mut Self::Listener) -> io::Result<Self::Stream> {
        let stream = listener.accept().await?;
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

    fn descriptor(stream: &Self::Stream) -> Descriptor {
        stream.as_raw_fd()
    }

    async fn yield_now(&self) {
        // `yield_if_needed` returns at once unless the time slice is used up.
        glommio::executor().yield_now().await;
    }

    fn block_on(&self, task: Task<Self>) -> Result<(), Refusal> {
        let executor = LocalExecutorBuilder::default().make();
        let executor = executor.map_err(|error| Refusal::Failed(error.to_string()))?;
        executor.run(task.run());
        Ok(())
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        glommio::timer::sleep(time)
    }

    /// Through the page cache: direct I/O would bypass it, and not every file system supports it.
    /// Boxed, because every task is as large as the largest future that it may hold.
    fn read_file(&self, path: FilePath) -> impl Future<Output = io::Result<ReadResult>> {
        Box::pin(async move {
            let file = BufferedFile::open(path).await?;
            let bytes = file.file_size().await?;
            let contents = file.read_at(0, bytes as usize).await?;
            file.close().await?;
            Ok(contents)
        })
    }

    /// Boxed for the same reason. Its `fdatasync` brings the contents to the disk, not all metadata;
    /// there is nothing else.
    fn write_file(&self, write: FileWrite) -> impl Future<Output = io::Result<()>> {
        Box::pin(async move {
            let contents = write.contents();
            let file = BufferedFile::create(write.path).await?;
            let mut written = 0;
            while written < contents.len() {
                written += file.write_at(contents[written..].to_vec(), written as u64).await?;
            }
            if write.sync {
                file.fdatasync().await?;
            }
            file.close().await?;
            Ok(())
        })
    }

    async fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        // Boxed for the same reason.
        Ok(Box::pin(glommio::executor().spawn_blocking(job)).await)
    }
}

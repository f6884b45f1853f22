//! compio: an executor for each core, which shares nothing with the others; sockets and files by
//! io_uring, or sockets by epoll and files on the pool for blocking work, of which each has one.

use std::future::Future;
use std::io;
use std::mem::take;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use compio::BufResult;
use compio::buf::{IntoInner, IoBuf};
use compio::driver::{DriverType, ProactorBuilder};
use compio::io::{AsyncRead, AsyncWrite, AsyncWriteAtExt};
use compio::net::{TcpListener, TcpSocket, TcpStream};
use compio::runtime::{JoinHandle, Runtime as CompioRuntime, RuntimeBuilder};
use quadrant_suite::description::{
    Capability, Description, Executor, RuntimeOption, Topology, Workers,
};
use quadrant_suite::plain_calls::Descriptor;
use quadrant_suite::runtime::Task;
use quadrant_suite::runtime::{Adapter, FilePath, FileWrite, Refusal, Runtime};
use quadrant_suite::scene::Scene;
use quadrant_suite::shared::ForAnyRuntime;

quadrant_suite::export!(Compio);

/// compio finds its executor in a thread-local, so the handle only holds what starts another one.
#[derive(Clone)]
struct Compio {
    driver: DriverType,
}

impl Adapter for Compio {
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
                Capability::Cancel,
                Capability::Share,
                Capability::Connect,
            ]
            .into(),
            tasks_max: None,
            memlock_bytes_min: 0,
        };
        Description {
            runtime: "compio".to_owned(),
            version: quadrant_suite::locked_version!("compio"),
            note: None,
            executors: vec![executor("io_uring"), executor("epoll")],
        }
    }

    fn options() -> Vec<RuntimeOption> {
        vec![RuntimeOption::number(
            "event-interval",
            1..=u32::MAX.into(),
            "61",
            "polls of tasks after which an executor looks for events",
        )]
    }

    fn run(scene: &'static Scene) -> Result<(), Refusal> {
        let plan = scene.plan();
        let driver = match (plan.executor.as_str(), plan.backend.as_str()) {
            ("per-core", "io_uring") => DriverType::IoUring,
            // Its polling driver, which is epoll on Linux.
            ("per-core", "epoll") => DriverType::Poll,
            _ => return Err(scene.unknown_executor()),
        };
        let workers = plan.workers as usize;
        let start = |root| {
            let work = move || work(scene, root, workers, driver);
            thread::Builder::new().name("compio".to_owned()).spawn(work)
        };
        for worker in (0..workers).map(start).collect::<io::Result<Vec<_>>>()? {
            worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        Ok(())
    }
}

fn build(driver: DriverType, event_interval: Option<u64>) -> io::Result<CompioRuntime> {
    let mut proactor = ProactorBuilder::new();
    // compio's default is io_uring.
    if driver == DriverType::Poll {
        proactor.driver_type(driver);
    }
    let mut builder = RuntimeBuilder::new();
    if let Some(polls) = event_interval {
        builder.event_interval(polls as usize);
    }
    builder.with_proactor(proactor).build()
}

/// One worker with its root. It refuses at once, because the other workers would wait for it.
fn work(scene: &'static Scene, root: usize, workers: usize, driver: DriverType) {
    match build(driver, scene.plan().number("event-interval")) {
        Ok(runtime) if runtime.driver_type() == driver => {
            runtime.block_on(scene.root_of(Compio { driver }, root, workers));
        }
        // A silent fallback to epoll would be another subject.
        Ok(runtime) => scene.refuse(Refusal::Unsupported(format!(
            "compio fell back in silence, from its driver {driver:?} to {:?}",
            runtime.driver_type()
        ))),
        Err(error) if driver.is_iouring() => {
            let reason = format!("compio could not set up its rings: {error}");
            scene.refuse(Refusal::Unsupported(reason));
        }
        Err(error) => scene.refuse(error.into()),
    }
}

impl Runtime for Compio {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Join = JoinHandle<()>;
    type Contents = Vec<u8>;
    type Shared = ForAnyRuntime;

    fn spawn(&self, task: Task<Self>) -> Self::Join {
        compio::runtime::spawn(task.run())
    }

    async fn join(join: Self::Join) -> io::Result<()> {
        Ok(join.await?)
    }

    fn detach(join: Self::Join) -> io::Result<()> {
        join.detach();
        Ok(())
    }

    async fn cancel(join: Self::Join) {
        join.cancel().await;
    }

    async fn listen(&self, address: SocketAddr, reuse_port: bool) -> io::Result<Self::Listener> {
        let socket = TcpSocket::new_v4().await?;
        socket.set_reuseport(reuse_port)?;
        socket.bind(address).await?;
        socket.listen(1024).await
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
        let BufResult(read, part) = stream.read(take(buffer).slice(range)).await;
        *buffer = part.into_inner();
        read
    }

    async fn write(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        let BufResult(written, part) = stream.write(take(buffer).slice(range)).await;
        *buffer = part.into_inner();
        written
    }

    async fn read_shared(stream: &Self::Stream, bytes: usize) -> io::Result<Vec<u8>> {
        let mut stream = stream;
        let BufResult(read, buffer) = stream.read(Vec::with_capacity(bytes)).await;
        read.map(|_| buffer)
    }

    async fn write_shared(stream: &Self::Stream, bytes: Vec<u8>) -> io::Result<usize> {
        let mut stream = stream;
        stream.write(bytes).await.0
    }

    fn descriptor(stream: &Self::Stream) -> Descriptor {
        stream.as_raw_fd()
    }

    fn block_on(&self, task: Task<Self>) -> Result<(), Refusal> {
        build(self.driver, None)?.block_on(task.run());
        Ok(())
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        compio::time::sleep(time)
    }

    fn read_file(&self, path: FilePath) -> impl Future<Output = io::Result<Vec<u8>>> {
        compio::fs::read(path)
    }

    async fn write_file(&self, write: FileWrite) -> io::Result<()> {
        if !write.sync {
            return compio::fs::write(write.path, write.contents()).await.0;
        }
        let mut file = compio::fs::File::create(write.path).await?;
        file.write_all_at(write.contents(), 0).await.0?;
        file.sync_all().await?;
        file.close().await
    }

    async fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        Ok(compio::runtime::spawn_blocking(job).await?)
    }
}

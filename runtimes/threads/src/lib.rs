//! No runtime at all: one thread for each task and plain blocking calls. The baseline of every
//! table, and the answer to "do we need an async runtime here?".

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use quadrant_suite::block_on::block_on;
use quadrant_suite::board::THREADED_TASKS_MAX;
use quadrant_suite::description::{
    Capability, Description, Executor, RuntimeOption, Topology, Workers,
};
use quadrant_suite::plain_calls::{self, Descriptor};
use quadrant_suite::runtime::Task;
use quadrant_suite::runtime::{Adapter, FilePath, FileWrite, Refusal, Runtime, Spawner};
use quadrant_suite::scene::Scene;

mod shared;

quadrant_suite::export!(Threads);

#[derive(Clone)]
struct Threads;

impl Adapter for Threads {
    fn describe() -> Description {
        Description {
            runtime: "threads".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            note: None,
            executors: vec![Executor {
                executor: "thread-per-task".to_owned(),
                backend: "blocking".to_owned(),
                topology: Topology::Shared,
                workers: Workers::PerTask,
                capabilities: [
                    Capability::Echo,
                    Capability::Tcp,
                    Capability::Tasks,
                    Capability::Timers,
                    Capability::Files,
                    Capability::WriteFiles,
                    Capability::Offload,
                    Capability::Shutdown,
                    Capability::ForeignSpawn,
                    Capability::Share,
                    Capability::Connect,
                    Capability::Reference,
                ]
                .into(),
                tasks_max: Some(THREADED_TASKS_MAX),
                memlock_bytes_min: 0,
            }],
        }
    }

    fn options() -> Vec<RuntimeOption> {
        vec![
            // Read by std, for every thread that is started without a size.
            RuntimeOption::number(
                "stack",
                65_536..=1 << 30,
                "2097152",
                "bytes of address space for the stack of a thread",
            )
            .by_variable("RUST_MIN_STACK"),
        ]
    }

    fn run(scene: &'static Scene) -> Result<(), Refusal> {
        if scene.plan().executor != "thread-per-task" {
            return Err(scene.unknown_executor());
        }
        block_on(scene.root(Threads));
        Ok(())
    }
}

impl Runtime for Threads {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Join = io::Result<JoinHandle<()>>;
    type Contents = Vec<u8>;
    type Shared = shared::OfStd;

    const CALLS_BLOCK: bool = true;

    fn spawn(&self, task: Task<Self>) -> Self::Join {
        thread::Builder::new().name("task".to_owned()).spawn(move || block_on(task.run()))
    }

    async fn join(join: Self::Join) -> io::Result<()> {
        join?.join().map_err(|_| io::Error::other("the thread panicked"))
    }

    fn detach(join: Self::Join) -> io::Result<()> {
        join.map(drop)
    }

    async fn listen(&self, address: SocketAddr, _reuse_port: bool) -> io::Result<Self::Listener> {
        plain_calls::listen(address)
    }

    fn local_port(listener: &Self::Listener) -> io::Result<u16> {
        Ok(listener.local_addr()?.port())
    }

    async fn accept(listener: &mut Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Stream> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        stream.read(&mut buffer[range])
    }

    async fn write(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        stream.write(&buffer[range])
    }

    async fn read_shared(stream: &Self::Stream, bytes: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        let count = (&*stream).read(&mut buffer)?;
        buffer.truncate(count);
        Ok(buffer)
    }

    async fn write_shared(stream: &Self::Stream, bytes: Vec<u8>) -> io::Result<usize> {
        (&*stream).write(&bytes)
    }

    fn descriptor(stream: &Self::Stream) -> Descriptor {
        stream.as_raw_fd()
    }

    async fn yield_now(&self) {
        thread::yield_now();
    }

    fn block_on(&self, task: Task<Self>) -> Result<(), Refusal> {
        block_on(task.run());
        Ok(())
    }

    async fn sleep(&self, time: Duration) {
        thread::sleep(time);
    }

    async fn read_file(&self, path: FilePath) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    async fn write_file(&self, write: FileWrite) -> io::Result<()> {
        plain_calls::write_file(write)
    }

    /// A thread of its own for the job; the task's thread waits for it.
    async fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let worker = thread::Builder::new().name("offloaded".to_owned()).spawn(job)?;
        worker.join().map_err(|_| io::Error::other("the job panicked"))
    }

    fn spawner(&self) -> Spawner {
        Box::new(|future| drop(thread::spawn(|| block_on(future))))
    }
}

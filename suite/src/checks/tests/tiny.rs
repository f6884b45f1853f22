//! The tiny executor as a runtime for the kit.

use std::fs::File;
use std::future::{Future, pending, poll_fn};
use std::io::{self, Read};
use std::mem::forget;
use std::net::SocketAddr;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use super::executor::{Cell, Executor, lock, sleep, wait_for_ever};
use super::on_cancel::OnCancel;
use super::pool::offload;
use super::rule::Rule;
use super::sockets::{Listener, Stream};
use crate::plain_calls::{self, Descriptor};
use crate::runtime::{FilePath, FileWrite, Refusal, Runtime, Spawner, Task, yield_once};
use crate::scene::Scene;
use crate::shared::ForAnyRuntime;

pub(super) fn run(scene: &'static Scene, broken: Option<Rule>) -> Result<(), Refusal> {
    let locked = getrlimit(Resource::Memlock).current.unwrap_or(u64::MAX);
    if broken == Some(Rule::NeedsLockedMemory) && locked < 1 << 20 {
        return Err(Refusal::Failed(format!("{locked} bytes of locked memory are too few")));
    }
    static ROOT_PANICKED: AtomicBool = AtomicBool::new(false);
    if broken == Some(Rule::HangsAfterAPanicOfTheRoot) && ROOT_PANICKED.load(SeqCst) {
        thread::park();
    }
    static KEPT: OnceLock<Arc<Executor>> = OnceLock::new();
    let executor = if broken == Some(Rule::KeepsTasksForTheNextRun) {
        Arc::clone(KEPT.get_or_init(|| Executor::new(broken)))
    } else {
        Executor::new(broken)
    };
    if executor.is(Rule::PollsOnTwoThreads) {
        let executor = Arc::clone(&executor);
        thread::spawn(move || executor.assist());
    }
    let tiny = Tiny(Arc::clone(&executor));
    let result = catch_unwind(AssertUnwindSafe(|| executor.block_on(scene.root(tiny))));
    match broken {
        Some(Rule::RunsOnAfterTheRoot) => {
            let executor = Arc::clone(&executor);
            thread::spawn(move || executor.block_on(pending()));
        }
        Some(Rule::LeaksThreads) => drop(thread::spawn(thread::park)),
        Some(Rule::LeaksDescriptors) => forget(File::open("/dev/null")),
        Some(Rule::WaitsForJobs) => {
            while executor.jobs_running.load(SeqCst) > 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        _ => {}
    }
    let ends =
        ![Rule::RunsOnAfterTheRoot, Rule::KeepsTasksForTheNextRun].map(Some).contains(&broken);
    if ends {
        executor.end();
    }
    if let Err(panic) = result {
        if broken == Some(Rule::HangsAfterAPanicOfTheRoot) {
            ROOT_PANICKED.store(true, SeqCst);
        }
        std::panic::resume_unwind(panic);
    }
    Ok(())
}

#[derive(Clone)]
pub(super) struct Tiny(Arc<Executor>);

/// A spawned task, by which it can be joined.
pub(super) struct Handle {
    cell: Arc<Cell>,
    detached: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.detached {
            return;
        }
        let executor = &self.cell.executor;
        if executor.is(Rule::CancelsOnDrop) {
            let work = lock(&self.cell.work).take();
            drop(work);
        }
        if executor.is(Rule::ForgetsWokenTasksOnDrop) && self.cell.queued.load(SeqCst) {
            forget(lock(&self.cell.work).take());
        }
    }
}

impl Runtime for Tiny {
    type Listener = Listener;
    type Stream = Stream;
    type Join = Handle;
    type Contents = Vec<u8>;
    type Shared = ForAnyRuntime;

    fn spawn(&self, task: Task<Self>) -> Handle {
        if self.0.is(Rule::HangsOnSpawnsAtTheEnd) && lock(&self.0.state).ended {
            wait_for_ever();
        }
        let cell = self.0.start(Box::pin(task.run()));
        Handle { cell, detached: false }
    }

    async fn join(mut join: Handle) -> io::Result<()> {
        let cell = Arc::clone(&join.cell);
        let completed = poll_fn(move |context| {
            let mut done = lock(&cell.done);
            match done.0 {
                Some(completed) => Poll::Ready(completed),
                None => {
                    done.1.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        join.detached = true;
        if completed || join.cell.executor.is(Rule::JoinsPanicsSilently) {
            Ok(())
        } else {
            Err(io::Error::other("the task panicked"))
        }
    }

    fn detach(mut join: Handle) -> io::Result<()> {
        join.detached = true;
        Ok(())
    }

    async fn cancel(join: Handle) {
        if !join.cell.executor.is(Rule::CancelsLater) {
            let work = lock(&join.cell.work).take();
            drop(work);
        }
    }

    async fn listen(&self, address: SocketAddr, _reuse_port: bool) -> io::Result<Listener> {
        Listener::bind(&self.0, address)
    }

    fn local_port(listener: &Listener) -> io::Result<u16> {
        listener.port()
    }

    async fn accept(listener: &mut Listener) -> io::Result<Stream> {
        listener.accept().await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        Stream::connect(&self.0, address)
    }

    async fn read(
        stream: &mut Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        stream.read(&mut buffer[range]).await
    }

    async fn write(
        stream: &mut Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        stream.write(&buffer[range]).await
    }

    async fn read_shared(stream: &Stream, bytes: usize) -> io::Result<Vec<u8>> {
        stream.read_shared(bytes).await
    }

    async fn write_shared(stream: &Stream, bytes: Vec<u8>) -> io::Result<usize> {
        stream.write_shared(bytes).await
    }

    fn descriptor(stream: &Stream) -> Descriptor {
        stream.descriptor()
    }

    async fn yield_now(&self) {
        if !self.0.is(Rule::YieldsNothing) {
            yield_once().await;
        }
    }

    async fn sleep(&self, time: Duration) {
        let time = match self.0.broken {
            Some(Rule::SleepsTooShort) => time / 2,
            Some(Rule::SleepsATick) => time.max(Duration::from_millis(1)),
            Some(Rule::OverflowsOnLongSleeps) if time == Duration::MAX => Duration::ZERO,
            Some(Rule::SleepsInTheLoop) => return thread::sleep(time),
            _ => time,
        };
        if !self.0.is(Rule::LosesTimersAfterCancelledOnes) {
            return sleep(&self.0, time).await;
        }
        if self.0.has_begun_sleep.swap(true, SeqCst) {
            pending::<()>().await;
        }
        sleep(&self.0, time).await;
        self.0.has_begun_sleep.store(false, SeqCst);
    }

    async fn read_file(&self, path: FilePath) -> io::Result<Vec<u8>> {
        if self.0.is(Rule::FilesInThePool) {
            return offload(&self.0, move || std::fs::read(path)).await?;
        }
        let mut file = File::open(path)?;
        let cancelled = OnCancel::new(|| {
            if self.0.is(Rule::LeaksCancelledOpens) {
                forget(file.try_clone());
            }
        });
        yield_once().await;
        cancelled.completed();
        let mut contents = Vec::new();
        file.read_to_end(&mut contents)?;
        Ok(contents)
    }

    async fn write_file(&self, write: FileWrite) -> io::Result<()> {
        if self.0.is(Rule::FilesInThePool) {
            return offload(&self.0, move || plain_calls::write_file(write)).await?;
        }
        plain_calls::write_file(write)
    }

    fn block_on(&self, task: Task<Self>) -> Result<(), Refusal> {
        assert!(!self.0.is(Rule::PanicsWhenNested), "nested");
        Executor::new(self.0.broken).block_on(task.run());
        Ok(())
    }

    fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> {
        offload(&self.0, job)
    }

    fn spawner(&self) -> Spawner {
        let executor = Arc::clone(&self.0);
        Box::new(move |future| drop(executor.start(future)))
    }
}

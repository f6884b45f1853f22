//! One thread per task and blocking calls, some of which go wrong.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use quadrant_suite::clock::stamp;
use quadrant_suite::control::{MESSAGE_BYTES, Message};
use quadrant_suite::plain_calls::Descriptor;
use quadrant_suite::runtime::Task;
use quadrant_suite::runtime::{FilePath, FileWrite, Runtime, yield_once};
use quadrant_suite::scene::Scene;
use quadrant_suite::shared::ForAnyRuntime;

use crate::block_on;
use crate::fault::Fault;

#[derive(Clone, Copy)]
pub(crate) struct Faulty {
    pub(crate) scene: &'static Scene,
    pub(crate) fault: Fault,
}

/// The runtime. Where calls are not declared to block, a poll ends before each that waits.
#[derive(Clone, Copy)]
pub(crate) struct Handle<const CALLS_BLOCK: bool>(pub(crate) Faulty);

impl<const CALLS_BLOCK: bool> Handle<CALLS_BLOCK> {
    async fn before_wait() {
        if !CALLS_BLOCK {
            yield_once().await;
        }
    }
}

/// Time after the start of the window at which `slows-down` begins.
const SLOW_AFTER_NS: u64 = 500_000_000;

impl Faulty {
    /// Called before every request of the load.
    fn before_request(self) {
        let (board, clock) = (self.scene.board(), self.scene.plan().clock);
        if self.fault == Fault::SlowsDown
            && board.is_measuring()
            && clock.ns_between(board.window_start(), stamp()) >= SLOW_AFTER_NS
        {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Called before every request and every wait of a task. The fault occurs at the tenth call in
    /// the window, and then at every hundredth.
    fn before_operation(self) {
        static OPERATIONS: AtomicU64 = AtomicU64::new(0);
        if !self.scene.board().is_measuring() || OPERATIONS.fetch_add(1, Relaxed) % 100 != 9 {
            return;
        }
        match self.fault {
            Fault::PanicsInTask => panic!("this fault panics in a task"),
            Fault::Stalls => self.scene.meter().poll(|| thread::sleep(Duration::from_millis(50))),
            _ => {}
        }
    }
}

pub(crate) struct Listener {
    socket: TcpListener,
    faulty: Faulty,
    is_control: bool,
}

pub(crate) struct Stream {
    socket: TcpStream,
    faulty: Faulty,
    is_control: bool,
    /// Requests that began in the window.
    requests: u64,
}

impl Stream {
    /// Called before each request of the load.
    fn before_request(&mut self) {
        self.faulty.before_operation();
        self.faulty.before_request();
        self.requests += u64::from(self.faulty.scene.board().is_measuring());
    }

    /// Corrupts an answer that is about to be sent.
    fn before_answer(&self, answer: &mut [u8]) {
        let is_tenth = self.requests > 0 && self.requests.is_multiple_of(10);
        if self.faulty.fault == Fault::AnswersWrongly && is_tenth {
            answer[0] ^= 1;
        }
    }

    fn is_to_be_closed(&self) -> bool {
        self.faulty.fault == Fault::ClosesConnections && self.requests > 10
    }

    /// Whether the parent's message is dropped.
    fn is_not_heard(&self, message: &[u8; MESSAGE_BYTES]) -> bool {
        match Message::decode(message) {
            Some(Message::Canary) => self.faulty.fault == Fault::HidesStall,
            Some(Message::Ping(_)) => self.faulty.fault == Fault::IgnoresPings,
            _ => false,
        }
    }

    /// Inspects the parent's message.
    fn after_message(&self, message: &[u8; MESSAGE_BYTES]) {
        if self.faulty.fault == Fault::Hangs && Message::decode(message) == Some(Message::Stop) {
            loop {
                std::hint::spin_loop();
            }
        }
    }
}

impl<const CALLS_BLOCK: bool> Runtime for Handle<CALLS_BLOCK> {
    type Listener = Listener;
    type Stream = Stream;
    type Join = io::Result<JoinHandle<()>>;
    type Contents = Vec<u8>;
    type Shared = ForAnyRuntime;

    const CALLS_BLOCK: bool = CALLS_BLOCK;

    fn spawn(&self, task: Task<Self>) -> Self::Join {
        static SPAWNED: AtomicU64 = AtomicU64::new(0);
        let Faulty { scene, fault } = self.0;
        let nothing = || Ok(thread::spawn(|| ()));
        let is_in_window = scene.board().is_measuring();
        match fault {
            Fault::DropsTasks if is_in_window => return nothing(),
            Fault::LosesTask if SPAWNED.fetch_add(1, Relaxed) == 1 => {
                std::mem::forget(task);
                return nothing();
            }
            _ => {}
        }
        let run = move || block_on(task.run());
        let thread = thread::Builder::new().name("task".to_owned()).spawn(run);
        match fault {
            Fault::JoinsEarly => thread.and_then(|_| nothing()),
            Fault::JoinsAtOnce if is_in_window => thread.and_then(|_| nothing()),
            _ => thread,
        }
    }

    async fn join(join: Self::Join) -> io::Result<()> {
        Self::before_wait().await;
        join?.join().map_err(|_| io::Error::other("the thread panicked"))
    }

    fn detach(join: Self::Join) -> io::Result<()> {
        join.map(drop)
    }

    async fn listen(&self, address: SocketAddr, _reuse_port: bool) -> io::Result<Self::Listener> {
        let socket = TcpListener::bind(address)?;
        // The load's listener, where there is one, comes first, and its port is published
        // before the parent's listener is asked for.
        let scene = self.0.scene;
        let board = scene.board();
        let is_control = scene.plan().server.is_none() || board.server_port() != 0;
        Ok(Listener { socket, faulty: self.0, is_control })
    }

    fn local_port(listener: &Self::Listener) -> io::Result<u16> {
        Ok(listener.socket.local_addr()?.port())
    }

    async fn accept(listener: &mut Self::Listener) -> io::Result<Self::Stream> {
        Self::before_wait().await;
        let (socket, _) = listener.socket.accept()?;
        socket.set_nodelay(true)?;
        let Listener { faulty, is_control, .. } = *listener;
        Ok(Stream { socket, faulty, is_control, requests: 0 })
    }

    async fn read(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        Self::before_wait().await;
        if stream.is_control {
            loop {
                let read =
                    stream.socket.read_exact(&mut buffer[range.clone()]).map(|()| range.len());
                if let (Ok(_), Some(message)) = (&read, buffer.first_chunk()) {
                    if stream.is_not_heard(message) {
                        continue;
                    }
                    stream.after_message(message);
                }
                return read;
            }
        }
        if range.start == 0 {
            stream.before_request();
            if stream.is_to_be_closed() {
                return Ok(0);
            }
        }
        stream.socket.read(&mut buffer[range])
    }

    async fn write(
        stream: &mut Self::Stream,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<usize> {
        if range.start == 0 {
            stream.before_answer(&mut buffer[range.clone()]);
        }
        if stream.faulty.fault == Fault::SwallowsAnswers && !stream.is_control {
            return Ok(range.len());
        }
        stream.socket.write(&buffer[range])
    }

    fn descriptor(stream: &Self::Stream) -> Descriptor {
        stream.socket.as_raw_fd()
    }

    async fn yield_now(&self) {
        self.0.before_operation();
        thread::yield_now();
    }

    async fn sleep(&self, time: Duration) {
        Self::before_wait().await;
        self.0.before_operation();
        thread::sleep(time);
    }

    async fn read_file(&self, path: FilePath) -> io::Result<Vec<u8>> {
        self.0.before_operation();
        let mut contents = std::fs::read(path)?;
        if self.0.fault == Fault::ReadsWrongly {
            let middle = contents.len() / 2;
            contents[middle] ^= 1;
        }
        Ok(contents)
    }

    async fn write_file(&self, write: FileWrite) -> io::Result<()> {
        self.0.before_operation();
        let contents = write.contents();
        let written = match self.0.fault {
            Fault::WritesWrongly => contents.len() / 2,
            _ => contents.len(),
        };
        std::fs::write(write.path, &contents[..written])
    }

    async fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        self.0.before_operation();
        let worker = thread::Builder::new().name("offloaded".to_owned()).spawn(job)?;
        worker.join().map_err(|_| io::Error::other("the job panicked"))
    }
}

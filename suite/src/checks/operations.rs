//! The operations of a runtime, each in the ways of `how`: in which quadrant is it?
//!
//! The other side of every operation is a thread of the system: a peer, a file's writer or reader, or
//! the end of a wait.

use std::fs::{self, File};
use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use super::connection::{Connection, broken, connect, listen_at};
use super::quadrant::{Other, Report, Seen, experiment, wait_here};
use super::{Lab, Verdict, checks};
use crate::check_part::Signal;
use crate::control::MESSAGE_BYTES;
use crate::file_path::{FilePath, FileWrite};
use crate::plain_calls;
use crate::plan::{Action, How};
use crate::player::Player;
use crate::runtime::{Place, Runtime};

/// Checks in a task, whose answers are quadrants.
macro_rules! operations {
    ($($id:literal, [$($need:ident),*], $run:ident $(($($argument:expr),+))?, $question:literal, $why:literal;)+) => {
        checks! {$(
            $id, Task, Differs(
                "sync blocking", "sync non-blocking", "async blocking", "async non-blocking", "mixed",
                "deadlocks"
            ), [$($need),*], $run $(($($argument),+))?, $question, $why;
        )+}
    };
}

operations! {
    "recv-await", [Tcp], receive(How::Await),
        "In which quadrant is receiving by the runtime's own operation?",
        "Readiness leaves the call itself to the task; completion has it done meanwhile.";
    "recv-blocking", [Tcp], receive(How::Blocking),
        "In which quadrant is receiving by the blocking call?",
        "It holds the thread, and with it all other tasks of this thread.";
    "recv-polling", [Tcp], receive(How::Polling),
        "In which quadrant is receiving by attempts and yields?",
        "Control is always back at once, and each attempt costs CPU time.";
    "recv-forced", [Tcp], receive(How::Forced),
        "In which quadrant is receiving by the runtime's own operation, waited for on the spot?",
        "Async in shape, but it holds its thread like a blocking call; where only this thread could complete it, for ever.";
    "recv-offload", [Tcp, Offload], receive(How::Offload),
        "In which quadrant is receiving by the blocking call on the pool?",
        "It frees the loop, and costs a thread and two hand-overs.";
    "send-await", [Tcp], send_await,
        "In which quadrant is sending by the runtime's own operation?",
        "Where a peer does not read, something has to wait for room: the thread, the task or the system.";
    "accept-await", [Tcp], accept_await,
        "In which quadrant is accepting a connection?",
        "A ring accepts while the loop is busy; elsewhere the connection waits for the task.";
    "sleep-await", [Timers], sleep(How::Await),
        "In which quadrant is a sleep by the runtime's timer?",
        "Where timers are run by the loop, none ends while a task holds it.";
    "sleep-blocking", [], sleep(How::Blocking),
        "In which quadrant is a sleep of the thread?",
        "The classic mistake: everything else on this thread sleeps too.";
    "sleep-polling", [], sleep(How::Polling),
        "In which quadrant is looking at the clock and yielding?",
        "Control is always back at once, and each look costs CPU time.";
    "sleep-forced", [Timers], sleep(How::Forced),
        "In which quadrant is the runtime's timer, waited for on the spot?",
        "Where the thread that waits would have to run the timer, it waits for ever.";
    "sleep-offload", [Offload], offload(|| thread::sleep(SLEEP)),
        "In which quadrant is a sleep on the pool?",
        "It frees the loop, and costs a thread for the whole time.";
    "read-file-await", [Files], read_file(How::Await),
        "In which quadrant is reading a file by the runtime's own function?",
        "Few systems can read a file without holding a thread: a pool hides it, a ring does it.";
    "read-file-blocking", [], read_file(How::Blocking),
        "In which quadrant is reading a file by the blocking call?",
        "It holds the loop as long as the disk takes.";
    "read-file-forced", [Files], read_file(How::Forced),
        "In which quadrant is the runtime's own read of a file, waited for on the spot?",
        "A pool completes it, so it ends; the loop stands still meanwhile.";
    "read-file-offload", [Offload], read_file(How::Offload),
        "In which quadrant is reading a file on the pool?",
        "What most runtimes do inside.";
    "write-file-await", [WriteFiles], write_file_await,
        "In which quadrant is writing a file by the runtime's own function?",
        "Few systems can write a file without holding a thread.";
    "join-await", [], join(How::Await),
        "In which quadrant is waiting for another task?",
        "With one thread, the other task cannot run while this one holds it.";
    "join-forced", [], join(How::Forced),
        "In which quadrant is waiting for another task on the spot?",
        "With one thread, the other task never runs.";
    "offload-await", [Offload], offload(|| ()),
        "In which quadrant is a job on the pool for blocking work?",
        "The pool is there to go on while the loop is held.";
}

/// Whether the bytes leave the socket shows whether they are read.
async fn receive<R: Runtime>(lab: &Lab<R>, how: How) -> Verdict {
    let mut report = Report::begin(lab);
    loop {
        let Connection { ours, peer } = match connect(lab).await {
            Ok(connection) => connection,
            Err(error) => return broken(&error),
        };
        let (socket, peer) = (R::descriptor(&ours), Arc::new(peer));
        let sender = Arc::clone(&peer);
        let act = move || drop((&*sender).write_all(&[b'x'; MESSAGE_BYTES]));
        let is_done = move || plain_calls::unread(socket).is_ok_and(|bytes| bytes == 0);
        let mut player = Player::of_control(lab.scene(), lab.runtime.clone(), ours);
        let step = player.step(leaked(Action::Recv { how: unforced(how) }));
        let step = in_its_way::<R, _>(how, step);
        let (seen, received) = experiment(step, Other::new(act, is_done), report.hold()).await;
        if received.is_err() {
            return Verdict::fail("what the peer had sent was not received");
        }
        if let Some(verdict) = report.add(seen) {
            return verdict;
        }
    }
}

/// How an operation is begun that is waited for on the spot: it is the runtime's own.
fn unforced(how: How) -> How {
    if how == How::Forced { How::Await } else { how }
}

async fn in_its_way<R: Runtime, T>(how: How, operation: impl Future<Output = T>) -> T {
    if how == How::Forced { wait_here::<R, T>(operation).await } else { operation.await }
}

/// Steps live as long as their plan, which is the process's own.
fn leaked(action: Action) -> &'static Action {
    Box::leak(Box::new(action))
}

/// Whether more arrives than the socket had taken before shows whether the rest is sent.
async fn send_await<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const BYTES: usize = 64 * 1024;
    let mut report = Report::begin(lab);
    loop {
        let Connection { mut ours, peer } = match connect(lab).await {
            Ok(connection) => connection,
            Err(error) => return broken(&error),
        };
        let taken = fill(R::descriptor(&ours)).await;
        let arrived = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&arrived);
        let act = move || drop(thread::spawn(move || drain(peer, &count)));
        let is_done = move || arrived.load(SeqCst) > taken;
        let mut message = vec![b'x'; BYTES];
        let write = R::write(&mut ours, &mut message, 0..BYTES);
        let (seen, written) = experiment(write, Other::new(act, is_done), report.hold()).await;
        if let Err(error) = written {
            return Verdict::fail(format!("the message was not sent: {error}"));
        }
        if let Some(verdict) = report.add(seen) {
            return verdict;
        }
    }
}

/// Fills a socket until it takes nothing more; returns how much it has taken.
async fn fill(socket: plain_calls::Descriptor) -> u64 {
    let (mut taken, mut full) = (0, 0);
    // What the peer's system takes later makes room again.
    while full < 10 {
        match plain_calls::try_send(socket, &[b'x'; 4_096]) {
            Ok(count) => (taken, full) = (taken + count as u64, 0),
            Err(_) => {
                full += 1;
                Signal::after(Duration::from_millis(10)).wait().await;
            }
        }
    }
    taken
}

fn drain(mut peer: TcpStream, arrived: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = peer.read(&mut buffer) {
        arrived.fetch_add(count as u64, SeqCst);
    }
}

/// Whether the connection leaves the listener's queue shows whether it is accepted.
async fn accept_await<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let mut report = Report::begin(lab);
    loop {
        let (mut listener, port) = match listen_at(lab).await {
            Ok(listening) => listening,
            Err(error) => return broken(&error),
        };
        let (sender, peer) = std::sync::mpsc::channel();
        let act = move || drop(sender.send(TcpStream::connect((Ipv4Addr::LOCALHOST, port))));
        let is_done = move || connections_in_queue(port) == Some(0);
        let accept = R::accept(&mut listener);
        let (seen, accepted) = experiment(accept, Other::new(act, is_done), report.hold()).await;
        if let Err(error) = accepted {
            return broken(&error);
        }
        drop(peer);
        if let Some(verdict) = report.add(seen) {
            return verdict;
        }
    }
}

/// Connections that a listener has not accepted, as the system counts them.
fn connections_in_queue(port: u16) -> Option<u64> {
    const LISTENING: &str = "0A";
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let own = format!(":{port:04X}");
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|it| it.len() > 4 && it[1].ends_with(&own) && it[3] == LISTENING)?;
    u64::from_str_radix(line[4].split(':').nth(1)?, 16).ok()
}

/// Longer than control may take to be back.
const SLEEP: Duration = Duration::from_millis(400);

/// Only a wake shows from outside that a time is over.
async fn sleep<R: Runtime>(lab: &Lab<R>, how: How) -> Verdict {
    let mut report = Report::begin(lab);
    loop {
        let mut player = Player::new(lab.scene(), lab.runtime.clone(), Place::CONNECTION, None);
        let ns = SLEEP.as_nanos() as u64;
        let step = player.step(leaked(Action::Sleep { ns, how: unforced(how) }));
        let step = in_its_way::<R, _>(how, step);
        let other = Other { act: Box::new(|| ()), is_done: None, hold: 2 * SLEEP };
        let (seen, slept) = experiment(step, other, report.hold()).await;
        if slept.is_err() {
            return Verdict::fail("the sleep failed");
        }
        if let Some(verdict) = report.add(seen) {
            return verdict;
        }
    }
}

/// A file that is opened only when both of its sides are. It has no positions, so what a runtime does
/// after that may fail.
struct Fifo {
    name: PathBuf,
    path: FilePath,
}

impl Fifo {
    fn new() -> io::Result<Self> {
        static FIFOS: AtomicU64 = AtomicU64::new(0);
        let number = FIFOS.fetch_add(1, SeqCst);
        let name = format!("quadrant-check-{}-{number}", std::process::id());
        let name = std::env::temp_dir().join(name);
        mknodat(CWD, &name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        Ok(Self { path: FilePath::leaked(name.clone()), name })
    }

    /// Writes to a reader that is opening it; false if there is none.
    fn serves_a_reader(name: &PathBuf) -> bool {
        let flags = OFlags::NONBLOCK.bits() as i32;
        let opened = File::options().write(true).custom_flags(flags).open(name);
        opened.is_ok_and(|mut file| file.write_all(b"contents").is_ok())
    }

    /// A reader, which a writer may wait for.
    fn reader(name: &PathBuf) -> io::Result<File> {
        File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(name)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.name);
    }
}

fn no_fifo(error: &io::Error) -> Verdict {
    let reason = format!("no FIFO could be made or used: {error}");
    Verdict::Unsupported { reason }
}

/// Whether a reader is opening the file shows whether it is read.
async fn read_file<R: Runtime>(lab: &Lab<R>, how: How) -> Verdict {
    let mut report = Report::begin(lab);
    loop {
        let fifo = match Fifo::new() {
            Ok(fifo) => fifo,
            Err(error) => return no_fifo(&error),
        };
        let (name, path) = (fifo.name.clone(), fifo.path);
        let mut is_served = false;
        let is_done = move || {
            is_served = is_served || Fifo::serves_a_reader(&name);
            is_served
        };
        let read = async {
            match how {
                How::Await | How::Forced => lab.runtime.read_file(path).await.map(drop),
                How::Offload => lab.runtime.offload(move || fs::read(path)).await?.map(drop),
                _ => fs::read(path).map(drop),
            }
        };
        let read = in_its_way::<R, _>(how, read);
        let (seen, read) = experiment(read, Other::new(|| (), is_done), report.hold()).await;
        if let (Seen::TooEarly, Err(error)) = (&seen, read) {
            return no_fifo(&error);
        }
        if let Some(verdict) = report.add(seen) {
            return verdict;
        }
    }
}

/// Whether a writer has opened the file shows whether it is written.
async fn write_file_await<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let mut report = Report::begin(lab);
    loop {
        let fifo = match Fifo::new() {
            Ok(fifo) => fifo,
            Err(error) => return no_fifo(&error),
        };
        let name = fifo.name.clone();
        let (mut reader, mut has_writer) = (None, false);
        let is_done = move || {
            if reader.is_none() {
                reader = Fifo::reader(&name).ok();
            }
            // Without a writer the file seems to be at its end.
            has_writer |= match reader.as_mut().map(|reader| reader.read(&mut [0; 64])) {
                Some(Ok(count)) => count > 0,
                Some(Err(error)) => error.kind() == ErrorKind::WouldBlock,
                None => false,
            };
            has_writer
        };
        let write = lab.runtime.write_file(FileWrite::new(fifo.path, b"contents", false));
        let (seen, written) = experiment(write, Other::new(|| (), is_done), report.hold()).await;
        if let (Seen::TooEarly, Err(error)) = (&seen, written) {
            return no_fifo(&error);
        }
        if let Some(verdict) = report.add(seen) {
            return verdict;
        }
    }
}

/// Whether the other task ends shows whether it runs.
async fn join<R: Runtime>(lab: &Lab<R>, how: How) -> Verdict {
    let mut report = Report::begin(lab);
    loop {
        let (go, has_ended) = (Signal::default(), Arc::new(AtomicBool::new(false)));
        let (begin, end) = (go.wait(), Arc::clone(&has_ended));
        let task = lab.spawn(async move {
            begin.await;
            end.store(true, SeqCst);
        });
        let join = in_its_way::<R, _>(how, R::join(task));
        let is_done = move || has_ended.load(SeqCst);
        let (seen, joined) =
            experiment(join, Other::new(move || go.set(), is_done), report.hold()).await;
        if let Err(error) = joined {
            return Verdict::fail(format!("the task was lost: {error}"));
        }
        if let Some(verdict) = report.add(seen) {
            return verdict;
        }
    }
}

/// Whether the job ends shows whether it runs.
async fn offload<R: Runtime>(lab: &Lab<R>, work: fn()) -> Verdict {
    let mut report = Report::begin(lab);
    loop {
        let (go, has_ended) = (Signal::default(), Arc::new(AtomicBool::new(false)));
        let (begin, end) = (go.clone(), Arc::clone(&has_ended));
        let job = lab.runtime.offload(move || {
            begin.wait_on_thread(Duration::from_secs(5));
            work();
            end.store(true, SeqCst);
        });
        let is_done = move || has_ended.load(SeqCst);
        let other = Other { hold: 2 * SLEEP, ..Other::new(move || go.set(), is_done) };
        let (seen, done) = experiment(job, other, report.hold()).await;
        if let Err(error) = done {
            return Verdict::fail(format!("the job failed: {error}"));
        }
        if let Some(verdict) = report.add(seen) {
            return verdict;
        }
    }
}

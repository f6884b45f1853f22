//! Cancelling operations: a future of the runtime is polled, and dropped while it is pending.
//!
//! No operation that blocks the thread is ever started: it could not be dropped.

use std::fs;
use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};

use super::connection::{Connection, broken, connect, listen};
use super::lab::poll_once;
use super::{Lab, Verdict, checks};
use crate::check_part::Signal;
use crate::plain_calls;
use crate::runtime::FilePath;
use crate::runtime::Runtime;

checks! {
    "cancel-read", Task, Must, [Tcp], cancel_read,
        "Are all bytes still read after pending reads were dropped?",
        "A read under a time limit, or in a `select`, is dropped often; a byte lost there corrupts the protocol.";
    "cancel-accept", Task, Differs("keeps", "loses"), [Tcp], cancel_accept,
        "Are connections lost when pending accepts are dropped?",
        "An accept loop that also waits for a signal drops its accept each time; clients see a closed connection.";
    "cancel-then-close", Task, Must, [Tcp], cancel_then_close,
        "Is a stream or listener closed when it is dropped just after its pending read or accept?",
        "compio-rs/compio#345: an operation that is still known to the system keeps the socket open.";
    "cancel-open", Task, Must, [Files], cancel_open,
        "Are descriptors closed when pending file reads are dropped?",
        "tokio-rs/tokio#7979: the descriptor of an open that completes after its future is gone stays open.";
}

/// The loop hands a pending operation to the system within this time.
const TURN: Duration = Duration::from_millis(1);

/// The verdict where operations block the thread.
fn uncancellable<R: Runtime>() -> Option<Verdict> {
    let reason = "its operations block the thread: none is ever pending".to_owned();
    R::CALLS_BLOCK.then_some(Verdict::Unsupported { reason })
}

/// Polls an operation that cannot complete yet, does something while it is pending, and drops it.
/// Returns the output if it completed all the same.
async fn dropped_pending<F: Future>(
    operation: F,
    turn: impl Future<Output = ()>,
    meanwhile: impl FnOnce(),
) -> Option<F::Output> {
    let mut operation = pin!(operation);
    let output = poll_once(operation.as_mut()).await;
    if output.is_none() {
        turn.await;
        meanwhile();
    }
    output
}

async fn cancel_read<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ROUNDS: u8 = 200;
    /// Ends each round, so that a lost byte is seen and not waited for.
    const MARK: u8 = u8::MAX;
    if let Some(verdict) = uncancellable::<R>() {
        return verdict;
    }
    let Connection { mut ours, mut peer } = match connect(lab).await {
        Ok(connection) => connection,
        Err(error) => return broken(&error),
    };
    let seen = "the read after a dropped one did not end";
    let _deadline = lab.deadline(Duration::from_secs(8), seen);
    let mut lost = 0;
    for round in 0..ROUNDS {
        // Every other byte arrives while the read is pending, the others after it was dropped.
        let is_early = round % 2 == 0;
        let mut buffer = vec![0; 16];
        let read = R::read(&mut ours, &mut buffer, 0..16);
        let early = || {
            if is_early {
                let _ = peer.write_all(&[round]);
            }
        };
        if let Some(read) = dropped_pending(read, lab.pause(TURN), early).await {
            return Verdict::fail(format!("a read returned {read:?} before a byte was sent"));
        }
        if !is_early {
            let _ = peer.write_all(&[round]);
        }
        // By now the loop has cancelled the read.
        lab.pause(TURN).await;
        let _ = peer.write_all(&[MARK]);
        let mut bytes = Vec::new();
        while bytes.last() != Some(&MARK) {
            let mut buffer = vec![0; 16];
            match R::read(&mut ours, &mut buffer, 0..16).await {
                Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
                other => {
                    return Verdict::fail(format!(
                        "the read after a dropped one returned {other:?} instead of bytes"
                    ));
                }
            }
        }
        match bytes[..] {
            [byte, MARK] if byte == round => {}
            [MARK] => lost += 1,
            _ => return Verdict::fail(format!("{bytes:?} read instead of [{round}, {MARK}]")),
        }
    }
    let seen = format!("{lost} bytes lost in {ROUNDS} dropped reads, one byte for each");
    if lost == 0 { Verdict::pass(seen) } else { Verdict::fail(seen) }
}

async fn cancel_accept<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ROUNDS: usize = 100;
    if let Some(verdict) = uncancellable::<R>() {
        return verdict;
    }
    let mut listener = match listen(lab).await {
        Ok(listener) => listener,
        Err(error) => return broken(&error),
    };
    let seen = "the accept after a dropped one did not end";
    let _deadline = lab.deadline(Duration::from_secs(8), seen);
    let mut lost = Vec::new();
    for round in 0..ROUNDS {
        let Ok(port) = R::local_port(&listener) else { continue };
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        // Every other connection arrives while the accept is pending.
        let mut early = None;
        let accept = R::accept(&mut listener);
        let connects = || early = (round % 2 == 0).then(connect);
        if let Some(accepted) = dropped_pending(accept, lab.pause(TURN), connects).await {
            let how = accepted.map_or_else(|error| error.to_string(), |_| "a stream".to_owned());
            return Verdict::fail(format!("an accept returned without a connection: {how}"));
        }
        let client = early.unwrap_or_else(connect);
        // Accepted after the client: the system keeps their order.
        let (client, last) = match (client, connect()) {
            (Ok(client), Ok(last)) => (client, last),
            (Err(error), _) | (_, Err(error)) => return broken(&error),
        };
        let port_of = |socket: &TcpStream| socket.local_addr().ok().map(|address| address.port());
        let mut is_lost = true;
        loop {
            let accepted = match R::accept(&mut listener).await {
                Ok(stream) => plain_calls::peer_port(R::descriptor(&stream)),
                Err(error) => {
                    return Verdict::fail(format!("an accept after a dropped one failed: {error}"));
                }
            };
            if accepted == port_of(&client) {
                is_lost = false;
            }
            if accepted == port_of(&last) {
                break;
            }
        }
        if is_lost {
            lost.push(client);
        }
    }
    let count = lost.len();
    let open = still_open(lab, lost).await;
    if open > 0 {
        return Verdict::fail(format!(
            "{count} of {ROUNDS} connections were not accepted, and {open} of them stay open"
        ));
    }
    match count {
        0 => Verdict::answer("keeps", format!("all {ROUNDS} connections were accepted later")),
        _ => Verdict::answer("loses", format!("{count} of {ROUNDS} connections were closed")),
    }
}

/// How many of these sockets do not see their end within a second.
async fn still_open<R: Runtime>(lab: &Lab<R>, mut sockets: Vec<TcpStream>) -> usize {
    const LOOKS: usize = 20;
    for _ in 0..LOOKS {
        sockets.retain_mut(|socket| {
            let _ = socket.set_nonblocking(true);
            let read = socket.read(&mut [0]);
            read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        });
        if sockets.is_empty() {
            break;
        }
        lab.pause(Duration::from_millis(50)).await;
    }
    sockets.len()
}

async fn cancel_then_close<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ROUNDS: usize = 20;
    const BOUND: Duration = Duration::from_secs(2);
    if let Some(verdict) = uncancellable::<R>() {
        return verdict;
    }
    // At the socket's end the operation is known to the system already, or not yet.
    let turn = |round: usize| TURN * (round % 2) as u32;
    for round in 0..ROUNDS {
        let Connection { mut ours, mut peer } = match connect(lab).await {
            Ok(connection) => connection,
            Err(error) => return broken(&error),
        };
        let mut buffer = vec![0; 16];
        dropped_pending(R::read(&mut ours, &mut buffer, 0..16), wait(lab, turn(round)), || ())
            .await;
        drop(ours);
        let ended = beside(move || {
            let _ = peer.set_read_timeout(Some(BOUND));
            !peer.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        });
        if !ended.await {
            let seen = "a stream dropped just after its read was still open after";
            return Verdict::fail(format!("{seen} {} s", BOUND.as_secs()));
        }
        let mut listener = match listen(lab).await {
            Ok(listener) => listener,
            Err(error) => return broken(&error),
        };
        let Ok(port) = R::local_port(&listener) else { continue };
        dropped_pending(R::accept(&mut listener), wait(lab, turn(round)), || ()).await;
        drop(listener);
        let ended = beside(move || {
            let end = Instant::now() + BOUND;
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                if Instant::now() >= end {
                    return false;
                }
                thread::sleep(TURN);
            }
            true
        });
        if !ended.await {
            let seen = "a listener dropped just after its accept still took connections after";
            return Verdict::fail(format!("{seen} {} s", BOUND.as_secs()));
        }
    }
    Verdict::pass(format!("{ROUNDS} streams and {ROUNDS} listeners were closed"))
}

async fn wait<R: Runtime>(lab: &Lab<R>, time: Duration) {
    if !time.is_zero() {
        lab.pause(time).await;
    }
}

/// Runs this on a thread of the system, while the loop goes on; false if it panics.
async fn beside(work: impl FnOnce() -> bool + Send + 'static) -> bool {
    let over = Signal::default();
    let (waits, (sender, receiver)) = (over.wait(), mpsc::channel());
    thread::spawn(move || {
        let _ = sender.send(work());
        over.set();
    });
    waits.await;
    receiver.try_recv().unwrap_or(false)
}

async fn cancel_open<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ROUNDS: usize = 1_000;
    const SETTLES_WITHIN: Duration = Duration::from_secs(2);
    if let Some(verdict) = uncancellable::<R>() {
        return verdict;
    }
    let file = match OpenedAgain::create() {
        Ok(file) => file,
        Err(error) => return Verdict::fail(format!("no file could be made in memory: {error}")),
    };
    let before = file.count();
    let mut dropped = 0;
    for round in 0..ROUNDS {
        let mut read = pin!(lab.runtime.read_file(file.path));
        let mut output = poll_once(read.as_mut()).await;
        // Dropped before the open, after it, and at any step of the read.
        for _ in 0..round % 4 {
            if output.is_none() {
                lab.pause(Duration::from_micros(50)).await;
                output = poll_once(read.as_mut()).await;
            }
        }
        match output {
            Some(Err(error)) => return Verdict::fail(format!("reading a file failed: {error}")),
            Some(Ok(_)) => {}
            None => {
                dropped += 1;
                // What it waits for has completed, and it has not seen that.
                if round % 8 >= 4 {
                    lab.pause(Duration::from_micros(50)).await;
                }
            }
        }
    }
    if dropped == 0 {
        let reason = "a file is read on the spot: no read of one is ever pending".to_owned();
        return Verdict::Unsupported { reason };
    }
    let end = Instant::now() + SETTLES_WITHIN;
    while file.count() > before && Instant::now() < end {
        lab.pause(Duration::from_millis(20)).await;
    }
    let open = file.count().saturating_sub(before);
    let seen = format!("{open} descriptors still open after {dropped} dropped reads");
    if open == 0 { Verdict::pass(seen) } else { Verdict::fail(seen) }
}

/// A file in memory, and how often it is open in this process.
struct OpenedAgain {
    path: FilePath,
    target: PathBuf,
    _file: fs::File,
}

impl OpenedAgain {
    fn create() -> std::io::Result<Self> {
        // A name of its own, by which it is counted.
        static FILES: AtomicU64 = AtomicU64::new(0);
        let name = format!("quadrant-check-{}", FILES.fetch_add(1, SeqCst));
        let mut file = fs::File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
        file.write_all(&[b'x'; 64 * 1024])?;
        // Opening this link opens the file anew.
        let link = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let target = fs::read_link(&link)?;
        // Lives as long as the process, which runs one check.
        Ok(Self { path: FilePath::leaked(link), target, _file: file })
    }

    fn count(&self) -> usize {
        let Ok(entries) = fs::read_dir("/proc/self/fd") else { return 0 };
        let targets = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.filter(|target| *target == self.target).count()
    }
}

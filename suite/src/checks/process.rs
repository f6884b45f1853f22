//! The process around a runtime: its threads, and signals that arrive at them.
//!
//! Nothing here is undone before the process ends, except limits.

#![allow(unsafe_code)]

use std::fs;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Uid, WaitOptions, getrlimit, setrlimit, waitpid};
use rustix::thread::{gettid, set_thread_res_uid};

use super::{Lab, Verdict, checks, connection};
use crate::check_part::Part;
use crate::runtime::Runtime;

checks! {
    "eintr", Task, Must, [Tcp, Timers], eintr,
        "Do timers and sockets go on while signals interrupt every thread?",
        "Profilers and child processes send signals; a wait that fails by one ends the loop.";
    "fork-child", Task, Differs("goes on", "stops"), [Tcp], fork_child,
        "Do sockets go on after a child process of `fork` has ended?",
        "A child shares the descriptors of the loop; what its end does to them reaches the parent.";
}

/// How many entries a folder of this process in `/proc` has.
pub(super) fn count(folder: &str) -> usize {
    fs::read_dir(format!("/proc/self/{folder}")).map_or(0, Iterator::count)
}

/// Starts a child that ends at once, and waits for its end.
fn fork_and_end() -> io::Result<()> {
    // SAFETY: the child only calls `_exit`, which is allowed after a fork with several threads.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: it ends the child without running anything of this process.
        0 => unsafe { libc::_exit(0) },
        child => waitpid(Pid::from_raw(child), WaitOptions::empty()).map(drop).map_err(Into::into),
    }
}

async fn fork_child<R: Runtime>(lab: &Lab<R>) -> Verdict {
    let connection::Connection { mut ours, peer } = match connection::connect(lab).await {
        Ok(connection) => connection,
        Err(error) => return connection::broken(&error),
    };
    let mut buffer = vec![0; 16];
    let seen = "a byte was not read within 2 s";
    let _stopped =
        lab.answer_after(Duration::from_secs(2), Verdict::answer("stops", seen.to_owned()));
    for is_after in [false, true] {
        if is_after && let Err(error) = fork_and_end() {
            return Verdict::Unsupported { reason: format!("no process could be made: {error}") };
        }
        // While the loop waits for it.
        let late = peer.try_clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            late.and_then(|mut late| late.write_all(b"x"))
        });
        match R::read(&mut ours, &mut buffer, 0..16).await {
            Ok(1) => {}
            other if is_after => return Verdict::answer("stops", format!("a read: {other:?}")),
            other => return Verdict::fail(format!("a read before the child: {other:?}")),
        }
    }
    Verdict::answer("goes on", "a byte was read before and after")
}

/// A lowered limit of this process, which has its former value again when this is dropped.
pub(super) struct Limit {
    resource: Resource,
    before: Rlimit,
}

impl Limit {
    pub(super) fn lowered(resource: Resource, to: u64) -> io::Result<Self> {
        let before = getrlimit(resource);
        setrlimit(resource, Rlimit { current: Some(to), ..before })?;
        Ok(Self { resource, before })
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let _ = setrlimit(self.resource, self.before);
    }
}

/// While the limit exists, this thread can start no further thread. Returns an error where the system
/// allows more threads all the same.
pub(super) fn no_more_threads() -> Result<Limit, String> {
    /// `nobody`, because root is never limited. This thread keeps the user; the others keep theirs.
    const OTHER: Uid = Uid::from_raw_unchecked(65_534);
    let refused = "the number of threads cannot be limited here";
    let _ = set_thread_res_uid(OTHER, OTHER, OTHER);
    let limit =
        Limit::lowered(Resource::Nproc, 0).map_err(|error| format!("{refused}: {error}"))?;
    match thread::Builder::new().spawn(|| ()) {
        Err(_) => Ok(limit),
        Ok(_) => Err(refused.to_owned()),
    }
}

/// Signals that the handler has received.
static RECEIVED: AtomicU64 = AtomicU64::new(0);

extern "C" fn receive(_signal: libc::c_int) {
    RECEIVED.fetch_add(1, SeqCst);
}

/// Has signals interrupt calls from now on, as most programs install handlers: reads and writes are
/// restarted by the system, but waiting for events is not.
fn install() -> io::Result<()> {
    // SAFETY: an all-zero `sigaction` is a valid value of this C struct.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = receive as extern "C" fn(libc::c_int) as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the action is valid during the call, and its handler only adds to an atomic.
    match unsafe { libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Interrupts every other thread of this process, about once a millisecond.
fn storm(stop: &AtomicBool) {
    let own = gettid().as_raw_nonzero().get();
    while !stop.load(SeqCst) {
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let threads = tasks.filter_map(|task| task.file_name().to_str()?.parse::<i32>().ok());
        for thread in threads.filter(|thread| *thread != own) {
            // SAFETY: the call passes integers only. A thread that has ended makes it fail.
            unsafe {
                libc::syscall(libc::SYS_tgkill, std::process::id(), thread, libc::SIGUSR2);
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
}

async fn eintr<R: Runtime>(lab: &Lab<R>) -> Verdict {
    const ROUNDS: u64 = 200;
    let connection::Connection { mut ours, mut peer } = match connection::connect(lab).await {
        Ok(connection) => connection,
        Err(error) => return connection::broken(&error),
    };
    if let Err(error) = install() {
        return Verdict::Unsupported { reason: format!("no signal handler: {error}") };
    }
    let (stop, ticks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let period = Duration::from_millis(5);
    lab.start(Part::Tick { period, stop: Arc::clone(&stop), count: Arc::clone(&ticks) });
    let echoed = Arc::new(AtomicU64::new(0));
    let stopped = Arc::clone(&stop);
    thread::spawn(move || storm(&stopped));
    let _deadline = lab.progress(&echoed, Duration::from_secs(2), "no further byte was echoed");
    // So that the loop waits for events between two bytes.
    thread::spawn(move || {
        let mut byte = [b'x'];
        while peer.write_all(&byte).and_then(|()| peer.read_exact(&mut byte)).is_ok() {
            thread::sleep(Duration::from_millis(2));
        }
    });
    let mut buffer = vec![0; 16];
    for round in 1..=ROUNDS {
        let echo = match R::read(&mut ours, &mut buffer, 0..16).await {
            Ok(1) => R::write(&mut ours, &mut buffer, 0..1).await,
            other => other,
        };
        if !matches!(echo, Ok(1)) {
            return Verdict::fail(format!("echo {round} of one byte ended with {echo:?}"));
        }
        echoed.store(round, SeqCst);
    }
    let _ticking = lab.progress(&ticks, Duration::from_secs(2), "a timer of 5 ms did not fire");
    while ticks.load(SeqCst) < 20 {
        lab.runtime.sleep(period).await;
    }
    stop.store(true, SeqCst);
    match RECEIVED.load(SeqCst) {
        0 => Verdict::Unsupported { reason: "no signal arrived".to_owned() },
        signals => Verdict::pass(format!("{ROUNDS} echoes and 20 ticks during {signals} signals")),
    }
}

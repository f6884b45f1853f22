//! Counts a process's system calls, thread by thread, and the threads that it creates, while a
//! window is open.
//!
//! By a program in the kernel where that is allowed: exact, for some 80 ns a call. Elsewhere system
//! calls are counted by `strace`, which makes every call many times as slow and cannot tell the
//! threads apart, and created threads not at all. Never counts system calls in a trial whose figures
//! are to be believed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::bpf::{
    Counter, R1, R2, R7, TO_THE_END, and, copy, jump_if_equal, jump_if_not_equal, load_argument,
    set,
};
use super::strace::Strace;

/// For 4,096 threads with 32 different calls each.
const CALLS_MAX: u32 = 1 << 17;
/// Threads that create others.
const CREATORS_MAX: u32 = 1 << 16;

pub enum SyscallCounter {
    InKernel(Counter),
    Strace(Strace),
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// In a few words, for the record.
    pub method: String,
    pub all: BTreeMap<String, u64>,
    /// Those of the threads that were named; unknown where threads cannot be told apart.
    pub of_threads: Option<BTreeMap<String, u64>>,
}

impl SyscallCounter {
    /// Attaches to a process by the best means there is, or returns why there is none.
    pub fn attach(pid: u32) -> Result<Self, String> {
        Self::attach_by(pid, in_kernel)
    }

    fn attach_by(pid: u32, in_kernel: fn(u32) -> io::Result<Counter>) -> Result<Self, String> {
        let refused = match in_kernel(pid) {
            Ok(counter) => return Ok(SyscallCounter::InKernel(counter)),
            Err(error) => error,
        };
        Strace::attach(pid).map(SyscallCounter::Strace).map_err(|error| {
            format!("the kernel does not let us count system calls ({refused}), and {error}")
        })
    }

    /// Counting begins here, or, with `strace`, did so when it attached.
    pub fn window_opens(&mut self) {
        if let SyscallCounter::InKernel(counter) = self {
            // It could be attached before; if it cannot now, nothing is counted, which is reported.
            let _ = counter.start();
        }
    }

    pub fn window_closes(&mut self) {
        match self {
            SyscallCounter::InKernel(counter) => counter.stop(),
            SyscallCounter::Strace(strace) => strace.stop(),
        }
    }

    /// The counts, once the window is closed.
    pub fn read(self, threads: &BTreeSet<u32>) -> Result<Counted, String> {
        match self {
            SyscallCounter::InKernel(counter) => read_from_kernel(&counter, threads),
            SyscallCounter::Strace(strace) => Ok(Counted {
                method: "strace -c".to_owned(),
                all: strace.read()?,
                of_threads: None,
            }),
        }
    }
}

/// At the kernel's `sys_enter`, whose arguments are the registers and the number of the call. What a
/// call is given is not looked at.
fn in_kernel(pid: u32) -> io::Result<Counter> {
    let load = || Counter::load(pid, c"sys_enter", &[load_argument(R7, 1)], CALLS_MAX);
    // Whether it may be attached is found out by one that is dropped with what it has counted.
    load()?.start()?;
    load()
}

fn read_from_kernel(counter: &Counter, threads: &BTreeSet<u32>) -> Result<Counted, String> {
    let entries = counter
        .read()
        .map_err(|error| format!("the counts of system calls cannot be read: {error}"))?;
    let mut all = BTreeMap::new();
    let mut of_threads = BTreeMap::new();
    for ((thread, number), count) in &entries {
        let name = syscall_name(i64::from(*number));
        if threads.contains(thread) {
            *of_threads.entry(name.clone()).or_default() += count;
        }
        *all.entry(name).or_default() += count;
    }
    let method = match entries.len() < CALLS_MAX as usize {
        true => "bpf at sys_enter",
        false => "bpf at sys_enter, table full: some calls are missing",
    };
    Ok(Counted { method: method.to_owned(), all, of_threads: Some(of_threads) })
}

/// `epoll_wait`, or `call 9999` for one that has no name yet.
pub fn syscall_name(number: i64) -> String {
    #[cfg(target_os = "linux")]
    if let Some(call) = usize::try_from(number).ok().and_then(syscalls::Sysno::new) {
        return call.name().to_owned();
    }
    format!("call {number}")
}

/// Counts the threads that a process creates, at the kernel's `task_newtask`: those that are gone
/// before a look are counted too. Processes are not.
pub struct ThreadCreations {
    counter: Counter,
    /// The count when the window opened.
    before: u64,
}

impl ThreadCreations {
    pub fn attach(pid: u32) -> io::Result<Self> {
        /// Flags that the kernel creates a task with.
        const THREAD: i32 = 0x0001_0000;
        /// Together with the above only io_uring's workers have it.
        const UNTRACED: i32 = 0x0080_0000;
        // The arguments of this tracepoint: the new task, and its flags.
        let only_threads = [
            load_argument(R1, 1),
            copy(R2, R1),
            and(R1, THREAD),
            jump_if_equal(R1, 0, TO_THE_END),
            and(R2, UNTRACED),
            jump_if_not_equal(R2, 0, TO_THE_END),
            set(R7, 0),
        ];
        let mut counter = Counter::load(pid, c"task_newtask", &only_threads, CREATORS_MAX)?;
        counter.start()?;
        Ok(Self { counter, before: 0 })
    }

    pub fn window_opens(&mut self) {
        self.before = self.total().unwrap_or(0);
    }

    /// Since the window opened.
    pub fn count(&self) -> Option<u64> {
        Some(self.total()?.saturating_sub(self.before))
    }

    fn total(&self) -> Option<u64> {
        Some(self.counter.read().ok()?.iter().map(|(_, count)| count).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A process of its own that makes calls when it is told to: what is counted then is not
    /// the work of other tests in this process.
    struct Caller(std::process::Child);

    impl Caller {
        /// Reads a byte from its standard input at a time, and writes it.
        fn start() -> Self {
            let child = std::process::Command::new("dd")
                .args(["bs=1", "status=none"])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut caller = Self(child);
            caller.copy(1); // it has started
            caller
        }

        fn copy(&mut self, bytes: usize) {
            use std::io::{Read, Write};
            let (stdin, stdout) = (self.0.stdin.as_mut(), self.0.stdout.as_mut());
            stdin.unwrap().write_all(&vec![b'x'; bytes]).unwrap();
            let mut copied = vec![0; bytes];
            stdout.unwrap().read_exact(&mut copied).unwrap();
        }
    }

    impl Drop for Caller {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn count(mut counter: SyscallCounter, caller: &mut Caller, copies: usize) -> Counted {
        counter.window_opens();
        caller.copy(copies);
        counter.window_closes();
        caller.copy(10);
        counter.read(&BTreeSet::new()).unwrap()
    }

    #[test]
    fn every_call_in_the_window_is_counted_and_no_other() {
        let mut caller = Caller::start();
        let counter = match in_kernel(caller.0.id()) {
            Ok(counter) => counter,
            Err(error) => return eprintln!("skipped: bpf(2) is not allowed here: {error}"),
        };
        caller.copy(10);
        let counted = count(SyscallCounter::InKernel(counter), &mut caller, 1_000);
        assert_eq!(counted.all["write"], 1_000);
        // The first may have begun before the window opened, and one more before it closed.
        assert!((999..=1_001).contains(&counted.all["read"]), "{counted:?}");
        assert_eq!(counted.of_threads, Some(BTreeMap::new()));
    }

    #[test]
    fn strace_counts_the_same() {
        let mut caller = Caller::start();
        let strace = match Strace::attach(caller.0.id()) {
            Ok(strace) => strace,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        let counted = count(SyscallCounter::Strace(strace), &mut caller, 100);
        // A byte can be read before the call that wrote it has returned, and strace counts returns:
        // the one before the first may come in, the last may stay out.
        assert!((99..=101).contains(&counted.all["write"]), "{counted:?}");
        assert_eq!(counted.of_threads, None);
    }

    #[test]
    fn threads_are_told_apart() {
        let (tell, told) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let worker = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid().as_raw_nonzero().get() as u32).unwrap();
            wait.recv().unwrap();
            for _ in 0..500 {
                let _ = rustix::process::getppid();
            }
        });
        let thread = told.recv().unwrap();
        let mut counter = match in_kernel(std::process::id()) {
            Ok(counter) => counter,
            Err(error) => return eprintln!("skipped: bpf(2) is not allowed here: {error}"),
        };
        counter.start().unwrap();
        go.send(()).unwrap();
        worker.join().unwrap();
        counter.stop();
        let counted = read_from_kernel(&counter, &BTreeSet::from([thread])).unwrap();
        let own = counted.of_threads.unwrap();
        assert_eq!(own["getppid"], 500);
        assert!(counted.all["getppid"] >= 500);
    }

    #[test]
    fn where_the_kernel_refuses_strace_counts_or_both_reasons_are_told() {
        let mut caller = Caller::start();
        let refuse = |_| Err(io::ErrorKind::PermissionDenied.into());
        match SyscallCounter::attach_by(caller.0.id(), refuse) {
            Ok(counter) => {
                assert_eq!(count(counter, &mut caller, 10).method, "strace -c");
            }
            Err(reason) => {
                assert!(reason.contains("permission denied"), "{reason}");
                assert!(reason.contains("strace could not"), "{reason}");
            }
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_told() {
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        assert!(Strace::attach(gone.id()).is_err());
    }

    #[test]
    fn every_thread_is_counted_however_short_it_lives() {
        let mut creations = match ThreadCreations::attach(std::process::id()) {
            Ok(creations) => creations,
            Err(error) => return eprintln!("skipped: bpf(2) is not allowed here: {error}"),
        };
        creations.window_opens();
        for _ in 0..50 {
            std::thread::spawn(|| {}).join().unwrap();
        }
        // A process is no thread.
        std::process::Command::new("true").status().unwrap();
        let count = creations.count().unwrap();
        // Other tests of this process may start threads meanwhile.
        assert!((50..5_000).contains(&count), "{count}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn names_are_found_by_number() {
        assert_eq!(syscall_name(libc::SYS_io_uring_enter), "io_uring_enter");
        assert_eq!(syscall_name(9_999), "call 9999");
        assert_eq!(syscall_name(-1), "call -1");
    }
}

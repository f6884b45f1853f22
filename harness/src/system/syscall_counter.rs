//! Counts the system calls of one process, thread by thread, while a window is open.
//!
//! By a program in the kernel where that is allowed: exact, for some 80 ns a call. Elsewhere by
//! `strace`, which makes every call many times as slow and cannot tell the threads apart. So it
//! never counts in a trial whose figures are to be believed.

mod in_kernel;
mod strace;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use in_kernel::InKernel;
use strace::Strace;

pub enum SyscallCounter {
    InKernel(InKernel),
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
    /// Attaches to a process by the best means there is, or says why there is none.
    pub fn attach(pid: u32) -> Result<Self, String> {
        Self::attach_by(pid, InKernel::attach)
    }

    fn attach_by(
        pid: u32,
        in_kernel: impl FnOnce(u32) -> io::Result<InKernel>,
    ) -> Result<Self, String> {
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
            counter.count(true);
        }
    }

    pub fn window_closes(&mut self) {
        match self {
            SyscallCounter::InKernel(counter) => counter.count(false),
            SyscallCounter::Strace(strace) => strace.stop(),
        }
    }

    /// The counts, once the window is closed.
    pub fn read(self, threads: &BTreeSet<u32>) -> Result<Counted, String> {
        match self {
            SyscallCounter::InKernel(counter) => counter.read(threads),
            SyscallCounter::Strace(strace) => strace.read(),
        }
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
        let counter = match InKernel::attach(caller.0.id()) {
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
        let mut counter = match InKernel::attach(std::process::id()) {
            Ok(counter) => counter,
            Err(error) => return eprintln!("skipped: bpf(2) is not allowed here: {error}"),
        };
        counter.count(true);
        go.send(()).unwrap();
        worker.join().unwrap();
        counter.count(false);
        let counted = counter.read(&BTreeSet::from([thread])).unwrap();
        let own = counted.of_threads.unwrap();
        let getppid = format!("call {}", libc::SYS_getppid);
        assert_eq!(own[&getppid], 500);
        assert!(counted.all[&getppid] >= 500);
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
}

//! How long threads of a process have waited for a CPU.
//!
//! Reads open files of a few threads: at the edges of a turn there is no time for more. It
//! interrupts nothing, and a thread that has ended has waited for nothing more.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::process;

/// Reading one takes about a microsecond.
const THREADS_MAX: usize = 8;

pub struct RunQueue {
    files: Vec<File>,
}

impl RunQueue {
    /// Of the first threads that these processes have now.
    pub fn of(processes: &[u32]) -> Self {
        let open = |pid: u32| {
            process::tasks(pid).take(THREADS_MAX).filter_map(move |thread| {
                File::open(format!("/proc/{pid}/task/{thread}/schedstat")).ok()
            })
        };
        Self { files: processes.iter().copied().flat_map(open).collect() }
    }

    /// Of the calling thread alone.
    pub fn of_this_thread() -> Self {
        Self { files: File::open("/proc/thread-self/schedstat").into_iter().collect() }
    }

    /// Nanoseconds that they have been ready to run without running, all added up.
    pub fn waited_ns(&self) -> u64 {
        let mut text = [0; 64];
        let waited = |file: &File| {
            let length = file.read_at(&mut text, 0).ok()?;
            let text = std::str::from_utf8(&text[..length]).ok()?;
            text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
        };
        self.files.iter().filter_map(waited).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn two_that_want_one_cpu_have_waited_for_it() {
        let spin = || {
            let mut command = Command::new("sh");
            command.args(["-c", "while :; do :; done"]);
            command.spawn().unwrap()
        };
        // More than there are CPUs, so that somebody has to wait.
        let count = std::thread::available_parallelism().unwrap().get() + 1;
        let mut children: Vec<_> = (0..count).map(|_| spin()).collect();
        let ids: Vec<u32> = children.iter().map(std::process::Child::id).collect();
        let queue = RunQueue::of(&ids);
        let before = queue.waited_ns();
        let waited = (0..2_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            queue.waited_ns() > before + 5_000_000
        });
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(waited);
        assert!(queue.waited_ns() >= before || queue.waited_ns() == 0, "they are gone");
    }
}

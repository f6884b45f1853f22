//! CPU time and run-queue time of the calling thread, as the system counts them. In the rest of the
//! wall-clock time the thread was blocked.
//!
//! A reading costs about a microsecond, so it is never taken at every poll.

use std::cell::RefCell;
use std::fs::File;

/// Sums since the thread began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ThreadTimes {
    pub(crate) cpu_ns: u64,
    pub(crate) run_queue_ns: u64,
}

impl ThreadTimes {
    pub(crate) fn since(self, earlier: ThreadTimes) -> ThreadTimes {
        ThreadTimes {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            run_queue_ns: self.run_queue_ns.saturating_sub(earlier.run_queue_ns),
        }
    }
}

thread_local! {
    /// Opened once per thread, because opening costs ten times as much as reading.
    static SCHEDSTAT: RefCell<Option<File>> = const { RefCell::new(None) };
}

/// Less time off the CPU than this is not attributed.
const OFF_NS: u64 = 10_000;

/// Reads both. The run-queue time is zero on systems that do not count it.
pub(crate) fn read() -> ThreadTimes {
    ThreadTimes { cpu_ns: cpu_ns(), run_queue_ns: run_queue_ns().unwrap_or(0) }
}

/// Reads both, `wall_ns` after `last`. If the thread was running all that time it has not waited for
/// a CPU, which saves the more expensive half of the reading.
pub(crate) fn read_after(last: ThreadTimes, wall_ns: u64) -> ThreadTimes {
    let cpu_ns = cpu_ns();
    let off_ns = wall_ns.saturating_sub(cpu_ns.saturating_sub(last.cpu_ns));
    if off_ns < OFF_NS {
        return ThreadTimes { cpu_ns, ..last };
    }
    ThreadTimes { cpu_ns, run_queue_ns: run_queue_ns().unwrap_or(0) }
}

fn cpu_ns() -> u64 {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
    #[cfg(not(unix))]
    {
        0
    }
}

/// The second field of the thread's `schedstat`.
#[cfg(target_os = "linux")]
fn run_queue_ns() -> Option<u64> {
    use std::os::unix::fs::FileExt;
    let mut text = [0; 64];
    let read = SCHEDSTAT
        .try_with(|file| {
            let mut file = file.borrow_mut();
            if file.is_none() {
                *file = File::open("/proc/thread-self/schedstat").ok();
            }
            file.as_ref()?.read_at(&mut text, 0).ok()
        })
        .ok()??;
    second_field(&text[..read])
}

#[cfg(not(target_os = "linux"))]
fn run_queue_ns() -> Option<u64> {
    None
}

fn second_field(text: &[u8]) -> Option<u64> {
    let field = text.split(|byte| *byte == b' ').nth(1)?;
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_run_queue_is_the_second_field() {
        assert_eq!(second_field(b"123 4567 89\n"), Some(4567));
        assert_eq!(second_field(b"123"), None);
        assert_eq!(second_field(b""), None);
    }

    #[test]
    fn computing_is_cpu_time_and_sleeping_is_not() {
        let begin = read();
        crate::plain_calls::use_cpu(Duration::from_millis(4));
        let computed = read().since(begin);
        assert!(computed.cpu_ns >= 4_000_000);
        let begin = read();
        std::thread::sleep(Duration::from_millis(20));
        assert!(read().since(begin).cpu_ns < 10_000_000);
    }
}

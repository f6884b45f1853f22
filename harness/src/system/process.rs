//! Looks at a process from outside: threads, CPU time, context switches, memory.
//!
//! Reads only what the kernel shows of it; interrupts nothing, and a process that is already
//! gone is a missing value and not an error.

use std::collections::BTreeMap;
use std::fs;

/// How many threads it has: the kernel keeps that number as the link count of a folder, which
/// costs the same however many there are.
pub fn thread_count(pid: u32) -> Option<u64> {
    let stat = rustix::fs::stat(format!("/proc/{pid}/task")).ok()?;
    Some((stat.st_nlink as u64).saturating_sub(2))
}

/// Its threads by name, without the digits at a name's end.
pub fn thread_names(pid: u32) -> BTreeMap<String, u64> {
    let mut names = BTreeMap::new();
    for task in tasks(pid) {
        if let Ok(name) = fs::read_to_string(format!("/proc/{pid}/task/{task}/comm")) {
            let name = name.trim_end().trim_end_matches(|c: char| c.is_ascii_digit());
            *names.entry(name.trim_end_matches(['-', '_', '/', ' ']).to_owned()).or_default() += 1;
        }
    }
    names
}

/// Whether a thread of this name is one of io_uring's kernel workers.
pub fn is_kernel_worker(name: &str) -> bool {
    name.starts_with("iou-wrk") || name.starts_with("iou-sqp")
}

/// CPU time of all its threads, the ended ones included, in nanoseconds.
#[allow(unsafe_code)]
pub fn cpu_ns(pid: u32) -> Option<u64> {
    // The kernel's number for "CPU time of process `pid`", as clock_getcpuclockid makes it.
    let clock = (!(pid as libc::clockid_t) << 3) | 2;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, which is there.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (result == 0).then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Voluntary and involuntary context switches of the threads that are alive.
pub fn context_switches(pid: u32) -> (u64, u64) {
    let mut total = (0, 0);
    for task in tasks(pid) {
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/task/{task}/status")) else {
            continue;
        };
        total.0 += field(&status, "voluntary_ctxt_switches:");
        total.1 += field(&status, "nonvoluntary_ctxt_switches:");
    }
    total
}

/// What a thread is doing right now: the system call it is in, or `running`. Interrupts nothing.
#[cfg(target_os = "linux")]
pub fn activity(pid: u32, thread: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let first = words.next()?;
    match first.parse::<i64>() {
        Ok(libc::SYS_restart_syscall) => Some(restarted(words).to_owned()),
        Ok(number) if number >= 0 => Some(super::syscall_counter::syscall_name(number)),
        // -1 is a thread that is stopped outside of any call, by a page fault for example.
        Ok(_) => Some("no system call".to_owned()),
        Err(_) => Some(first.to_owned()),
    }
}

/// A wait that the kernel has interrupted for work of its own, as a ring's completions are, goes
/// on under a name that tells nothing. Four calls can, and what they were given stays in the
/// registers: a clock's number, an address and an operation, or an address and a length.
#[cfg(target_os = "linux")]
fn restarted<'a>(mut arguments: impl Iterator<Item = &'a str>) -> &'static str {
    const CLOCKS: u64 = 16;
    const WAIT: [u64; 2] =
        [libc::FUTEX_WAIT as u64, (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as u64];
    const ADDRESSES_FROM: u64 = 1 << 16;
    let mut next = || u64::from_str_radix(arguments.next()?.trim_start_matches("0x"), 16).ok();
    match (next(), next()) {
        (Some(first), Some(_)) if first < CLOCKS => "clock_nanosleep",
        (Some(_), Some(second)) if WAIT.contains(&second) => "futex",
        (Some(_), Some(second)) if second < ADDRESSES_FROM => "poll",
        (Some(_), Some(_)) => "nanosleep",
        _ => "restart_syscall",
    }
}

#[cfg(not(target_os = "linux"))]
pub fn activity(_: u32, _: u32) -> Option<String> {
    None
}

/// Page faults of all its threads, the ended ones included.
pub fn page_faults(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, spaces included. Then the third field comes first.
    let mut fields = stat.rsplit_once(") ")?.1.split_ascii_whitespace();
    let minor: u64 = fields.nth(7)?.parse().ok()?;
    let major: u64 = fields.nth(1)?.parse().ok()?;
    Some(minor + major)
}

/// Resident memory now.
pub fn rss_bytes(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The most resident memory there was.
pub fn rss_peak_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(field(&status, "VmHWM:") * 1024)
}

/// Bytes that its reads of files took from a device, and not from the page cache.
pub fn device_bytes_read(pid: u32) -> Option<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    Some(field(&io, "read_bytes:"))
}

fn field(status: &str, name: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// The numbers of its threads.
pub(super) fn tasks(pid: u32) -> impl Iterator<Item = u32> {
    fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Threads of this process that wait until the guard is dropped.
    fn waiting_threads(count: usize, name: &str) -> mpsc::Sender<()> {
        let (sender, receiver) = mpsc::channel::<()>();
        let receiver = std::sync::Arc::new(std::sync::Mutex::new(receiver));
        let (ready, all_ready) = mpsc::channel();
        for i in 0..count {
            let (receiver, ready) = (receiver.clone(), ready.clone());
            std::thread::Builder::new()
                .name(format!("{name}-{i}"))
                .spawn(move || {
                    ready.send(()).unwrap();
                    let _ = receiver.lock().map(|receiver| receiver.recv());
                })
                .unwrap();
        }
        for _ in 0..count {
            all_ready.recv().unwrap();
        }
        sender
    }

    #[test]
    fn counts_and_names_threads() {
        let me = std::process::id();
        let guard = waiting_threads(20, "counted");
        assert!(thread_count(me).unwrap() > 20);
        assert_eq!(thread_names(me).get("counted"), Some(&20));
        drop(guard);
    }

    #[test]
    fn sees_cpu_time_switches_and_memory() {
        let me = std::process::id();
        let before = cpu_ns(me).unwrap();
        quadrant_suite::plain_calls::use_cpu(std::time::Duration::from_millis(5));
        assert!(cpu_ns(me).unwrap() - before >= 5_000_000);
        let (voluntary, _) = context_switches(me);
        assert!(voluntary > 0);
        assert!(rss_bytes(me).unwrap() > 100_000);
        assert!(rss_peak_bytes(me).unwrap() > 100_000);
    }

    #[test]
    fn names_the_call_that_a_thread_waits_in() {
        let (told, tell) = mpsc::channel();
        let guard = {
            let (sender, receiver) = mpsc::channel::<()>();
            std::thread::spawn(move || {
                told.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
                let _ = receiver.recv();
            });
            sender
        };
        let thread = tell.recv().unwrap() as u32;
        let seen = (0..1_000).any(|_| {
            std::thread::yield_now();
            activity(std::process::id(), thread).as_deref() == Some("futex")
        });
        assert!(seen, "a waiting thread is seen in its futex");
        drop(guard);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_restarted_wait_is_named_by_what_it_was_given() {
        let named = |text: &str| restarted(text.split_whitespace());
        assert_eq!(named("0x1 0x0 0x7ffd1c3c 0x7ffd1c3c 0x0"), "clock_nanosleep");
        assert_eq!(named("0x7f12a0 0x80 0x2 0x7ffd00 0x0"), "futex");
        assert_eq!(named("0x7f12a0 0x3 0x64 0x0 0x0"), "poll");
        assert_eq!(named("0x7ffd10 0x7ffd20 0x0 0x0 0x0"), "nanosleep");
        assert_eq!(named(""), "restart_syscall");
    }

    #[test]
    fn a_process_that_is_gone_has_no_values() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(cpu_ns(pid), None);
        assert_eq!(thread_count(pid), None);
        assert_eq!(rss_bytes(pid), None);
        assert_eq!(context_switches(pid), (0, 0));
    }
}

//! Looks at a process from outside: its threads, CPU time, context switches and memory, how long it
//! waited for a CPU; and stops it and lets it go on.
//!
//! What looks at a process reads only what the kernel shows of it and never interrupts it. A process
//! that is already gone is a missing value and not an error.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// Nothing that goes on sleeps for so long at a time without having run in between.
const STANDSTILL: Duration = Duration::from_millis(100);

/// How many threads it has. The kernel keeps the number as the link count of a folder, so reading it
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

/// Whether none of its threads runs, not even now and then.
pub fn stands_still(pid: u32) -> bool {
    let before = cpu_ns(pid);
    std::thread::sleep(STANDSTILL);
    // One that only waits for a CPU runs too.
    let runs = |task| activity(pid, task).is_none_or(|what| what == "running");
    before.is_some() && before == cpu_ns(pid) && !tasks(pid).any(runs)
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

/// What a thread is doing now: the system call it is in, or `running`.
#[cfg(target_os = "linux")]
pub fn activity(pid: u32, thread: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let first = words.next()?;
    match first.parse::<i64>() {
        Ok(libc::SYS_restart_syscall) => Some(restarted(words).to_owned()),
        Ok(number) if number >= 0 => Some(super::syscall_counter::syscall_name(number)),
        // -1: stopped outside of any call, by a page fault for example.
        Ok(_) => Some("no system call".to_owned()),
        Err(_) => Some(first.to_owned()),
    }
}

/// A wait that the kernel has interrupted for its own work, as for a ring's completions, goes on as
/// `restart_syscall`. Only four calls can, and their arguments stay in the registers: a clock's
/// number, an address and an operation, or an address and a length.
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

/// Resident memory now, with its share only of what it has in common with other processes.
pub fn memory_share_bytes(pid: u32) -> Option<u64> {
    let all = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    Some(field(&all, "Pss:") * 1024)
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

/// Whether a name begins with this prefix and the number of a process that is no more. A process of
/// another PID namespace is taken for one.
pub fn is_of_dead_process(name: &std::ffi::OsStr, prefix: &str) -> bool {
    let pid = name.to_str().and_then(|name| name.strip_prefix(prefix)?.split('-').next());
    pid.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists())
}

/// The numbers of its threads.
pub(super) fn tasks(pid: u32) -> impl Iterator<Item = u32> {
    fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// How long a thread has waited for a CPU since it began.
pub(super) fn run_queue_ns(pid: u32, thread: u32) -> Option<u64> {
    run_queue_field(&fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()?)
}

fn run_queue_field(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Reading one takes about a microsecond.
const THREADS_MAX: usize = 8;

/// How long threads of a process have waited for a CPU, from open files: where it is read, at the
/// edges of a turn, there is no time for more. A thread that has ended has waited for nothing more.
pub struct RunQueue {
    files: Vec<File>,
}

impl RunQueue {
    /// Of the first few threads that these processes have now.
    pub fn of(processes: &[u32]) -> Self {
        let open = |pid: u32| {
            tasks(pid).take(THREADS_MAX).filter_map(move |thread| {
                File::open(format!("/proc/{pid}/task/{thread}/schedstat")).ok()
            })
        };
        Self { files: processes.iter().copied().flat_map(open).collect() }
    }

    /// Of the calling thread alone.
    pub fn of_this_thread() -> Self {
        Self { files: File::open("/proc/thread-self/schedstat").into_iter().collect() }
    }

    /// Nanoseconds that they have been ready to run without running, added up.
    pub fn waited_ns(&self) -> u64 {
        let mut text = [0; 64];
        let waited = |file: &File| {
            let length = file.read_at(&mut text, 0).ok()?;
            run_queue_field(std::str::from_utf8(&text[..length]).ok()?)
        };
        self.files.iter().filter_map(waited).sum()
    }
}

/// Finds out whether a process that made no progress was kept from running by other processes.
pub struct StarvationCheck {
    pid: u32,
    began: Instant,
    cpu_ns: u64,
    waited_ns: u64,
}

impl StarvationCheck {
    pub fn begin(pid: u32) -> Self {
        let waited_ns = RunQueue::of(&[pid]).waited_ns();
        Self { pid, began: Instant::now(), cpu_ns: cpu_ns(pid).unwrap_or(0), waited_ns }
    }

    /// Why the process did not run, if it has lacked a CPU since the beginning, at least `least` ago.
    pub fn cause(&self, least: Duration) -> Option<String> {
        let elapsed = self.began.elapsed();
        let cpu_ns = cpu_ns(self.pid).unwrap_or(0).saturating_sub(self.cpu_ns);
        let waited_ns = RunQueue::of(&[self.pid]).waited_ns().saturating_sub(self.waited_ns);
        let (cpu, waited) = (Duration::from_nanos(cpu_ns), Duration::from_nanos(waited_ns));
        (elapsed >= least && is_starved(elapsed, cpu, waited)).then(|| {
            format!(
                "it had a CPU for {:.1} s of {:.1} s and waited for one for {:.1} s: stop what \
                 else runs here, or give the run more CPUs",
                cpu.as_secs_f64(),
                elapsed.as_secs_f64(),
                waited.as_secs_f64()
            )
        })
    }
}

/// While threads wait for each other, one of them keeps a CPU busy. If the process used less than half
/// of one CPU while threads of it were ready to run half of the time, other processes had the CPU.
pub fn is_starved(elapsed: Duration, cpu: Duration, waited: Duration) -> bool {
    waited > elapsed / 2 && cpu < elapsed / 2
}

/// Threads stop when they next return from the kernel: at once, except those that wait for a device.
const FREEZE_LIMIT: Duration = Duration::from_secs(2);
const FREEZE_LOOK_EVERY: Duration = Duration::from_micros(50);

/// Freezes a child that leads a process group of its own, with all that it has started. Returns when
/// every thread has stopped. A child that has ended instead is no error here.
pub fn freeze(pid: u32) -> io::Result<()> {
    let pid = known(pid)?;
    kill_process_group(pid, Signal::STOP)?;
    let options = WaitIdOptions::STOPPED
        | WaitIdOptions::EXITED
        | WaitIdOptions::NOHANG
        // How it ended is left to be waited for.
        | WaitIdOptions::NOWAIT;
    let begin = Instant::now();
    loop {
        if waitid(WaitId::Pid(pid), options)?.is_some() {
            return Ok(());
        }
        if begin.elapsed() > FREEZE_LIMIT {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it did not stop within {} s", FREEZE_LIMIT.as_secs()),
            ));
        }
        std::thread::sleep(FREEZE_LOOK_EVERY);
    }
}

/// Lets it go on.
pub fn thaw(pid: u32) -> io::Result<()> {
    Ok(kill_process_group(known(pid)?, Signal::CONT)?)
}

fn known(pid: u32) -> io::Result<Pid> {
    Pid::from_raw(pid as i32).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::cpus;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};
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
        quadrant_suite::plain_calls::use_cpu(Duration::from_millis(5));
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
    fn a_restarted_wait_is_named_by_its_arguments() {
        let named = |text: &str| restarted(text.split_whitespace());
        assert_eq!(named("0x1 0x0 0x7ffd1c3c 0x7ffd1c3c 0x0"), "clock_nanosleep");
        assert_eq!(named("0x7f12a0 0x80 0x2 0x7ffd00 0x0"), "futex");
        assert_eq!(named("0x7f12a0 0x3 0x64 0x0 0x0"), "poll");
        assert_eq!(named("0x7ffd10 0x7ffd20 0x0 0x0 0x0"), "nanosleep");
        assert_eq!(named(""), "restart_syscall");
    }

    #[test]
    fn a_process_that_is_gone_has_no_values() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(cpu_ns(pid), None);
        assert_eq!(thread_count(pid), None);
        assert_eq!(rss_bytes(pid), None);
        assert_eq!(context_switches(pid), (0, 0));
    }

    #[test]
    fn too_many_busy_processes_wait_for_a_cpu() {
        let spin = || {
            let mut command = Command::new("sh");
            command.args(["-c", "while :; do :; done"]);
            command.spawn().unwrap()
        };
        // More than there are CPUs, so that some have to wait.
        let count = std::thread::available_parallelism().unwrap().get() + 1;
        let mut children: Vec<_> = (0..count).map(|_| spin()).collect();
        let ids: Vec<u32> = children.iter().map(Child::id).collect();
        let queue = RunQueue::of(&ids);
        let before = queue.waited_ns();
        let waited = (0..2_000).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            queue.waited_ns() > before + 5_000_000
        });
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(waited);
        assert!(queue.waited_ns() >= before || queue.waited_ns() == 0, "they are gone");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_can_read_its_own_wait() {
        assert_eq!(RunQueue::of_this_thread().files.len(), 1);
    }

    fn spawn(words: &[&str]) -> Child {
        Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn waiting_for_own_threads_is_no_starvation() {
        let seconds = Duration::from_secs;
        assert!(is_starved(seconds(10), seconds(1), seconds(8)));
        assert!(!is_starved(seconds(10), seconds(10), seconds(90)));
        assert!(!is_starved(seconds(10), seconds(0), seconds(0)));
    }

    #[test]
    fn a_busy_process_starves_and_a_sleeping_one_does_not() {
        let cpu = cpus::allowed()[0];
        // Children inherit the CPU of the thread that starts them.
        let spawn_all = move || {
            cpus::stay_on(&[cpu]).unwrap();
            let busy = (0..5).map(|_| spawn(&["sh", "-c", "while :; do :; done"]));
            (busy.collect::<Vec<_>>(), spawn(&["sleep", "60"]))
        };
        let (mut busy, mut asleep) = std::thread::spawn(spawn_all).join().unwrap();
        let (starved, resting) =
            (StarvationCheck::begin(busy[0].id()), StarvationCheck::begin(asleep.id()));
        // The longer it lasts, the surer; how long it takes on a busy machine does not matter.
        let found = (0..400).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            starved.cause(Duration::from_millis(500)).is_some()
        });
        let not_yet = starved.cause(Duration::from_secs(3_600));
        let resting = resting.cause(Duration::ZERO);
        for child in busy.iter_mut().chain([&mut asleep]) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(found);
        assert_eq!((not_yet, resting), (None, None));
    }

    #[test]
    fn only_a_process_that_waits_stands_still() {
        let mut asleep = Command::new("sleep").arg("600").spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while !stands_still(asleep.id()) {
            assert!(Instant::now() < end, "it sleeps");
        }
        let mut busy = busy_child();
        assert!(!stands_still(busy.id()));
        for child in [&mut asleep, &mut busy] {
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(!stands_still(child.id()), "it has ended");
        }
    }

    fn busy_child() -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done"]).stdin(Stdio::null()).process_group(0);
        command.spawn().unwrap()
    }

    #[test]
    fn a_frozen_process_uses_no_cpu_until_thawed() {
        let mut child = busy_child();
        let pid = child.id();
        let used = || cpu_ns(pid).unwrap();
        for _ in 0..20 {
            freeze(pid).unwrap();
            let at_freezing = used();
            std::thread::sleep(Duration::from_millis(3));
            let frozen = used();
            // Its last steps out of the way are made after the word that it has stopped.
            assert!(frozen - at_freezing < 300_000, "{} ns", frozen - at_freezing);
            thaw(pid).unwrap();
            let begin = Instant::now();
            while used() == frozen {
                assert!(begin.elapsed() < Duration::from_secs(20), "it goes on");
            }
        }
        freeze(pid).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "a frozen process has not ended");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_child_that_has_ended_counts_as_frozen() {
        let mut child = Command::new("true").process_group(0).spawn().unwrap();
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(known(child.id()).unwrap()), options).unwrap();
        freeze(child.id()).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

//! Child processes: starts them, reads what they print, and ends them.
//!
//! Never waits without a limit, and never keeps more of a child's output than it was asked to.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::terminal::standard_error::say;

/// How often a child is checked for its end.
const LOOK_EVERY: Duration = Duration::from_micros(200);
/// How much of the latest output is kept for the reason of a failure.
const TAIL_BYTES: usize = 4 * 1024;
/// Bytes per read, and reads per call.
const CHUNK_BYTES: usize = 64 * 1024;
const CHUNKS_MAX: usize = 16;
/// Characters of a line that go into the reason of a failure.
const LAST_LINE_MAX: usize = 200;

/// How long a process that was killed may take to end: the memory of a large one is freed first.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// A child that leads a process group of its own: ^C at the terminal reaches the harness only, and
/// the child can be ended with everything that it has started. Dropping it ends the group.
///
/// Its end is looked at and not collected before the drop: until then its number, which is that of its
/// group, is given to no other process.
pub struct ChildGroup(Child);

impl ChildGroup {
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        command.process_group(0).spawn().map(Self)
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// The other ends of its standard streams, as far as they are pipes that were not taken yet.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.0.stdin.take()
    }

    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.0.stderr.take()
    }

    /// How it ended, if it did so within this time.
    pub fn wait_within(&self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        ended_within(self.pid(), limit)
    }
}

impl Drop for ChildGroup {
    fn drop(&mut self) {
        // The child may have ended before what it has started.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.0.kill();
        if has_ended(self.pid()) {
            let _ = self.0.wait();
        }
    }
}

/// How a child ended, if it did so within this time. It is left to be waited for.
pub(super) fn ended_within(pid: Pid, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let end = Instant::now() + limit;
    loop {
        let status = waitid(WaitId::Pid(pid), options)?;
        if status.is_some() || Instant::now() >= end {
            return Ok(status.map(|status| {
                let code = status.exit_status().map(|code| code << 8);
                ExitStatus::from_raw(code.or(status.terminating_signal()).unwrap_or(0))
            }));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits for the end of a child that was killed. Returns false where the kernel does not end it in
/// time; that is reported once, and not waited for again.
pub(super) fn has_ended(pid: Pid) -> bool {
    static LEFT: Mutex<Vec<Pid>> = Mutex::new(Vec::new());
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    let was_left = left.contains(&pid);
    let limit = if was_left { Duration::ZERO } else { KILL_LIMIT };
    let has_ended = !matches!(ended_within(pid, limit), Ok(None));
    left.retain(|it| *it != pid);
    if !has_ended {
        left.push(pid);
    }
    if !has_ended && !was_left {
        say!(
            "warning: process {pid} was killed and has not ended within {} s: it waits in the \
             kernel, for a device or in a frozen control group (/proc/{pid}/wchan), and is left \
             behind",
            KILL_LIMIT.as_secs()
        );
    }
    has_ended
}

/// What a program prints, if it succeeds within this time.
pub fn printed_by(command: &mut Command, limit: Duration) -> Option<String> {
    let end = Instant::now() + limit;
    let left = || end.saturating_duration_since(Instant::now());
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = ChildGroup::spawn(command).ok()?;
    let mut stdout = Output::new(child.take_stdout()?, Keep::Tail).ok()?;
    while stdout.source().is_some() && !left().is_zero() {
        wait_for_output([stdout.source()], left());
        stdout.read();
    }
    let status = child.wait_within(left()).ok()??;
    status.success().then(|| stdout.text())
}

/// To be called before a child is started: where a process ignores the ends of its children, as it may
/// have inherited it, the kernel keeps none of them to be waited for.
#[allow(unsafe_code)]
pub fn keep_ends() {
    // SAFETY: the default action runs no code of this process.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// In a child: makes the system kill this process when `parent` dies.
pub fn die_with_parent(parent: u32) -> Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the line above.
    let is_there = std::os::unix::process::parent_id() == parent;
    ensure!(is_there, "the process that started this one is gone");
    Ok(())
}

/// Whether the process that started this one, `parent`, has ended; 0 stands for a thread of this one.
pub fn orphaned(parent: u32) -> bool {
    parent != 0 && std::os::unix::process::parent_id() != parent
}

/// A second descriptor of something, which a child inherits under the same number.
///
/// It stays open across `exec` (no CLOEXEC) from its making to its drop, for *every* process started
/// in between. So make it right before the one child that is to have it and drop it right after. If
/// no other child may have it, start all such children from one thread, as those of trials are.
pub struct Inherited(pub(crate) OwnedFd);

impl Inherited {
    pub fn new(of: impl AsFd) -> io::Result<Self> {
        // A plain dup never carries CLOEXEC.
        Ok(Self(rustix::io::dup(of)?))
    }

    /// The number under which the child finds it.
    pub fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// "was killed by signal 11 (SIGSEGV)", "ended with exit code 7".
pub fn ending(status: ExitStatus) -> String {
    const SIGKILL: i32 = signal_hook::consts::SIGKILL;
    let signal_name = |signal| match signal {
        SIGKILL => Some("SIGKILL: out of memory?"),
        other => signal_hook::low_level::signal_name(other),
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => match signal_name(signal) {
            Some(name) => format!("was killed by signal {signal} ({name})"),
            None => format!("was killed by signal {signal}"),
        },
        (None, None) => "ended in a way that the system does not report".to_owned(),
    }
}

/// One of a child's output streams. Reading it never blocks.
pub struct Output<S> {
    source: Option<S>,
    kept: Vec<u8>,
    keep: Keep,
    total: u64,
}

/// Which part of the output is kept.
#[derive(Clone, Copy)]
pub enum Keep {
    /// The latest, however much there was.
    Tail,
    /// The part that was not taken yet, up to this many bytes. The rest stays in the pipe.
    Head { bytes_max: usize },
}

impl<S: Read + AsFd> Output<S> {
    pub fn new(source: S, keep: Keep) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&source)?;
        rustix::fs::fcntl_setfl(&source, flags | OFlags::NONBLOCK)?;
        Ok(Self { source: Some(source), kept: Vec::new(), keep, total: 0 })
    }

    /// For [`wait_for_output`]; nothing once the stream has ended.
    pub fn source(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(AsFd::as_fd)
    }

    /// How much was read altogether.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Reads what is there, some of it if it is much.
    pub fn read(&mut self) {
        let mut chunk = [0; CHUNK_BYTES];
        for _ in 0..CHUNKS_MAX {
            if let Keep::Head { bytes_max } = self.keep
                && self.kept.len() > bytes_max
            {
                return;
            }
            let Some(source) = &mut self.source else { return };
            match source.read(&mut chunk) {
                Ok(count @ 1..) => {
                    self.total += count as u64;
                    self.kept.extend_from_slice(&chunk[..count]);
                    if let Keep::Tail = self.keep {
                        let surplus = self.kept.len().saturating_sub(TAIL_BYTES);
                        self.kept.drain(..surplus);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => self.source = None,
            }
        }
    }

    /// The first line that was kept, once it is whole. A stream that ended without a newline has
    /// ended its line too.
    pub fn line(&self) -> Option<String> {
        let end = self.kept.iter().position(|byte| *byte == b'\n');
        let whole = match (end, &self.source, self.keep) {
            (Some(end), _, _) => end,
            (None, None, _) if !self.kept.is_empty() => self.kept.len(),
            (None, _, Keep::Head { bytes_max }) if self.kept.len() > bytes_max => bytes_max,
            _ => return None,
        };
        Some(String::from_utf8_lossy(&self.kept[..whole]).into_owned())
    }

    /// The same; the next call returns the next line.
    pub fn take_line(&mut self) -> Option<String> {
        let line = self.line()?;
        let end = self.kept.iter().position(|byte| *byte == b'\n');
        self.kept.drain(..end.map_or(self.kept.len(), |end| end + 1));
        Some(line)
    }

    /// All that was kept.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }

    /// The last line that is not empty, shortened for a reason.
    pub fn last_line(&self) -> Option<String> {
        let text = self.text();
        let is_telling =
            |line: &&str| !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE");
        let line = text.lines().map(str::trim).rev().find(is_telling)?;
        let mut line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Some((end, _)) = line.char_indices().nth(LAST_LINE_MAX) {
            line.truncate(end);
            line.push('…');
        }
        Some(line)
    }
}

/// Sleeps until one of these has output or has ended, at most for `limit`. Returns whether one has;
/// it may return early without.
pub fn wait_for_output<'a>(
    sources: impl IntoIterator<Item = Option<BorrowedFd<'a>>>,
    limit: Duration,
) -> bool {
    let waiting = |source| PollFd::from_borrowed_fd(source, PollFlags::IN);
    let mut waiting: Vec<PollFd> = sources.into_iter().flatten().map(waiting).collect();
    let limit = Timespec::try_from(limit).ok();
    poll(&mut waiting, limit.as_ref()).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{PipeReader, Write, pipe};

    const SHORT: Keep = Keep::Head { bytes_max: 100 };

    fn printed(text: &[u8], keep: Keep) -> Output<PipeReader> {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(text).unwrap();
        drop(writer);
        let mut output = Output::new(reader, keep).unwrap();
        output.read();
        output
    }

    #[test]
    fn a_bounded_tail_is_kept() {
        let (reader, mut writer) = pipe().unwrap();
        let mut output = Output::new(reader, Keep::Tail).unwrap();
        for i in 0..200 {
            writer.write_all(format!("line {i} {}\n", "x".repeat(200)).as_bytes()).unwrap();
            output.read();
        }
        writer.write_all(b"the end\n\n").unwrap();
        output.read();
        assert_eq!(output.last_line().as_deref(), Some("the end"));
        assert!(output.kept.len() <= TAIL_BYTES);
        assert!(output.total() > 40_000);
    }

    #[test]
    fn a_line_is_returned_when_it_is_whole() {
        let (reader, mut writer) = pipe().unwrap();
        let mut output = Output::new(reader, SHORT).unwrap();
        writer.write_all(b"half").unwrap();
        output.read();
        assert_eq!(output.line(), None);
        writer.write_all(b" and whole\nmore").unwrap();
        output.read();
        assert_eq!(output.line().as_deref(), Some("half and whole"));
        assert_eq!(output.take_line().as_deref(), Some("half and whole"));
        assert_eq!(output.take_line(), None);
        drop(writer);
        output.read();
        assert_eq!(output.take_line().as_deref(), Some("more"));
        assert_eq!(output.take_line(), None);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let line = printed(&[b'a'; 5_000], SHORT).line();
        assert_eq!(line.map(|line| line.len()), Some(100));
        assert_eq!(printed(b"no newline", SHORT).line().as_deref(), Some("no newline"));
        assert_eq!(printed(b"", SHORT).line(), None);
    }

    #[test]
    fn endings_name_the_signal() {
        let check = |raw, text| assert_eq!(ending(ExitStatus::from_raw(raw)), text);
        check(7 << 8, "ended with exit code 7");
        check(11, "was killed by signal 11 (SIGSEGV)");
        check(9, "was killed by signal 9 (SIGKILL: out of memory?)");
        check(4, "was killed by signal 4 (SIGILL)");
        check(6, "was killed by signal 6 (SIGABRT)");
        check(7, "was killed by signal 7 (SIGBUS)");
        check(8, "was killed by signal 8 (SIGFPE)");
        check(31, "was killed by signal 31 (SIGSYS)");
        check(40, "was killed by signal 40");
    }

    #[test]
    fn a_number_stays_taken_until_the_drop() {
        let child = ChildGroup::spawn(Command::new("sh").args(["-c", "exit 7"])).unwrap();
        let proc = format!("/proc/{}", child.id());
        for _ in 0..2 {
            let status = child.wait_within(Duration::from_secs(20)).unwrap().unwrap();
            assert_eq!(ending(status), "ended with exit code 7");
            assert!(std::fs::exists(&proc).unwrap(), "another process may have the number now");
        }
        drop(child);
        assert!(!std::fs::exists(&proc).unwrap());
        let child = ChildGroup::spawn(Command::new("sh").args(["-c", "kill -SEGV $$"])).unwrap();
        let status = child.wait_within(Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!(ending(status), "was killed by signal 11 (SIGSEGV)");
    }

    #[test]
    fn a_program_that_hangs_or_prints_much_is_ended() {
        let printed = |script: &str, limit| {
            printed_by(Command::new("sh").args(["-c", script]), Duration::from_millis(limit))
        };
        assert_eq!(printed("echo here", 20_000).as_deref(), Some("here\n"));
        assert_eq!(printed("echo here; exit 1", 20_000), None);
        assert_eq!(printed("exec sleep 60", 20), None);
        assert_eq!(printed("exec yes", 20), None);
        assert_eq!(printed("exec >&-; sleep 60", 20), None);
    }

    #[test]
    fn dropping_a_child_ends_all_that_it_started() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & echo $!; wait"]).stdout(Stdio::piped());
        let mut child = ChildGroup::spawn(&mut command).unwrap();
        let mut output = Output::new(child.take_stdout().unwrap(), SHORT).unwrap();
        let mut line = None;
        while line.is_none() {
            wait_for_output([output.source()], Duration::from_secs(20));
            output.read();
            line = output.line();
        }
        assert_eq!(child.wait_within(Duration::ZERO).unwrap(), None);
        drop(child);
        // Both held the pipe open.
        while output.source().is_some() {
            assert!(wait_for_output([output.source()], Duration::from_secs(20)));
            output.read();
        }
    }
}

//! Child processes: starts them, reads what they print, and ends them.
//!
//! Never waits without a limit, and never keeps more of a child's output than it was asked to.

use std::io::{self, Read};
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process_group};

/// How often a child is checked for its end.
const LOOK_EVERY: Duration = Duration::from_micros(200);
/// How much of the latest output is kept for the reason of a failure.
const TAIL_BYTES: usize = 4 * 1024;
/// Bytes per read, and reads per call.
const CHUNK_BYTES: usize = 64 * 1024;
const CHUNKS_MAX: usize = 16;
/// Characters of a line that go into the reason of a failure.
const LAST_LINE_MAX: usize = 200;

/// A child that leads a process group of its own: ^C at the terminal reaches the harness only, and
/// the child can be ended with everything that it has started. Dropping it ends the group.
pub struct ChildGroup(Child);

impl ChildGroup {
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        command.process_group(0).spawn().map(Self)
    }

    /// How it ended, if it did so within this time.
    pub fn wait_within(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let end = Instant::now() + limit;
        loop {
            let status = self.0.try_wait()?;
            if status.is_some() || Instant::now() >= end {
                return Ok(status);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Deref for ChildGroup {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for ChildGroup {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for ChildGroup {
    fn drop(&mut self) {
        // A number is not given to another process as long as its group has members, and the child
        // may have ended before what it has started.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
    fn dropping_a_child_ends_all_that_it_started() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & echo $!; wait"]).stdout(std::process::Stdio::piped());
        let mut child = ChildGroup::spawn(&mut command).unwrap();
        let mut output = Output::new(child.stdout.take().unwrap(), SHORT).unwrap();
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

//! The count by `strace -c`, where the kernel takes no program of ours.
//!
//! It stops every thread twice a call, so it shows which calls there are and never how fast
//! anything is.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use super::Counted;

/// For attaching to all threads, and again for letting go of them.
const LIMIT: Duration = Duration::from_secs(5);

pub struct Strace {
    child: Child,
    words: ChildStderr,
}

impl Strace {
    pub fn attach(pid: u32) -> Result<Self, String> {
        let mut child = Command::new("strace")
            .args(["-c", "-f", "-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("strace could not be started: {error}"))?;
        let words = child.stderr.take().expect("standard error was asked for");
        let mut strace = Self { child, words };
        let said = strace.hear(|said| said.contains("attached"));
        if said.contains("attached") {
            return Ok(strace);
        }
        Err(format!("strace could not attach: {}", said.lines().next().unwrap_or("no word")))
    }

    /// Tells it to let go, whereupon it prints its table.
    pub fn stop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process(pid, Signal::INT);
        }
    }

    pub fn read(mut self) -> Result<Counted, String> {
        let table = self.hear(|_| false);
        let all = counts(&table);
        if all.is_empty() && !table.contains("% time") {
            return Err("strace gave no table of system calls".to_owned());
        }
        Ok(Counted { method: "strace -c".to_owned(), all, of_threads: None })
    }

    /// What it says until that is `enough`, it ends, or the time is over.
    fn hear(&mut self, enough: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + LIMIT;
        let mut said = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&said);
            let left = end.saturating_duration_since(Instant::now());
            if enough(&text) || left.is_zero() {
                return text.into_owned();
            }
            let left =
                Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            let mut waiting = [PollFd::from_borrowed_fd(self.words.as_fd(), PollFlags::IN)];
            if !matches!(poll(&mut waiting, Some(&left)), Ok(1..)) {
                continue;
            }
            let mut piece = [0; 4_096];
            match self.words.read(&mut piece) {
                Ok(0) | Err(_) => return text.into_owned(),
                Ok(length) => said.extend_from_slice(&piece[..length]),
            }
        }
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // It lets go of what it holds when it is killed, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The column `calls` of its table, by the name at each line's end.
fn counts(table: &str) -> BTreeMap<String, u64> {
    table
        .lines()
        .skip_while(|line| !line.starts_with("% time"))
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = *words.last()?;
            let calls = words.get(3)?.parse().ok()?;
            (name != "total").then(|| (name.to_owned(), calls))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_table_with_and_without_errors() {
        let table = "\
strace: Process 4711 attached
strace: Process 4711 detached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 66.67    0.000012           0      1200           read
 33.33    0.000006           0        15         4 futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.000018           0      1215         4 total
";
        let expected = [("futex".to_owned(), 15), ("read".to_owned(), 1_200)];
        assert_eq!(counts(table), BTreeMap::from(expected));
        assert_eq!(counts("strace: attach: Operation not permitted"), BTreeMap::new());
    }
}

//! Counts the system calls of a process by `strace -c`.
//!
//! It stops every thread twice a call: its counts never stand for how fast anything is.

use std::collections::BTreeMap;
use std::process::{ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::system::child::{ChildGroup, Keep, Output, wait_for_output};

/// For attaching to all threads, and again for detaching.
const LIMIT: Duration = Duration::from_secs(5);

/// It has a line for each call, and one for each thread that it attaches to.
const OUTPUT_BYTES_MAX: usize = 16 << 20;

/// It detaches when it is killed, too.
pub struct Strace {
    child: ChildGroup,
    stderr: Output<ChildStderr>,
}

impl Strace {
    pub fn attach(pid: u32) -> Result<Self, String> {
        let mut command = Command::new("strace");
        command
            .args(["-c", "-f", "-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let not_started = |error| format!("strace could not be started: {error}");
        let mut child = ChildGroup::spawn(&mut command).map_err(not_started)?;
        let stderr = child.take_stderr().expect("standard error was asked for");
        let keep = Keep::Head { bytes_max: OUTPUT_BYTES_MAX };
        let mut strace = Self { child, stderr: Output::new(stderr, keep).map_err(not_started)? };
        let printed = strace.read_until(|printed| printed.contains("attached"));
        if printed.contains("attached") {
            return Ok(strace);
        }
        Err(format!(
            "strace could not attach: {}",
            printed.lines().next().unwrap_or("it printed nothing")
        ))
    }

    /// Asks it to detach, after which it prints its table.
    pub fn stop(&mut self) {
        let _ = kill_process(self.child.pid(), Signal::INT);
    }

    pub fn read(mut self) -> Result<BTreeMap<String, u64>, String> {
        let table = self.read_until(|_| false);
        let all = counts(&table);
        if all.is_empty() && !table.contains("% time") {
            return Err("strace gave no table of system calls".to_owned());
        }
        Ok(all)
    }

    /// What it prints until that is `enough`, it ends, or the time is over.
    fn read_until(&mut self, enough: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + LIMIT;
        loop {
            self.stderr.read();
            let text = self.stderr.text();
            let left = end.saturating_duration_since(Instant::now());
            if enough(&text) || self.stderr.source().is_none() || left.is_zero() {
                return text;
            }
            wait_for_output([self.stderr.source()], left);
        }
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

//! A standstill of the subject on purpose, of a known length: for the self-test.
//!
//! Never leaves the subject stopped: whoever drops it in mid-freeze lets it go on.

use std::time::{Duration, Instant};

use quadrant_suite::clock::{Stamp, stamp};

use crate::system::process;

/// When, after the window has opened, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freeze {
    pub after: Duration,
    pub lasting: Duration,
}

/// A freeze that is to come, goes on, or is over.
pub(super) struct Freezing {
    freeze: Freeze,
    subject: u32,
    opened: Instant,
    stopped: Option<Stamp>,
    went_on: Option<Stamp>,
}

impl Freezing {
    /// The window has opened.
    pub(super) fn begin(freeze: Freeze, subject: u32) -> Self {
        Self { freeze, subject, opened: Instant::now(), stopped: None, went_on: None }
    }

    /// Does what is due, and says how long it is until the next thing is.
    pub(super) fn tend(&mut self) -> Duration {
        let elapsed = self.opened.elapsed();
        let due = match (self.stopped, self.went_on) {
            (None, _) => self.freeze.after,
            (Some(_), None) => self.freeze.after + self.freeze.lasting,
            (Some(_), Some(_)) => return Duration::MAX,
        };
        if elapsed < due {
            return due - elapsed;
        }
        match self.stopped {
            None => self.stopped = process::freeze(self.subject).ok().map(|()| stamp()),
            Some(_) => self.went_on = self.thaw(),
        }
        Duration::ZERO
    }

    fn thaw(&self) -> Option<Stamp> {
        process::thaw(self.subject).ok().map(|()| stamp())
    }

    /// From when to when it stood still, once it went on again.
    pub(super) fn stretch(&self) -> Option<(Stamp, Stamp)> {
        self.stopped.zip(self.went_on)
    }
}

impl Drop for Freezing {
    fn drop(&mut self) {
        if self.stopped.is_some() && self.went_on.is_none() {
            self.thaw();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    fn sleeping() -> Child {
        let mut command = Command::new("sleep");
        command.arg("60").stdin(Stdio::null()).process_group(0).spawn().unwrap()
    }

    fn state(pid: u32) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    #[test]
    fn a_process_stands_still_for_as_long_as_told_and_goes_on() {
        let mut child = sleeping();
        let freeze = Freeze { after: Duration::from_millis(1), lasting: Duration::from_millis(20) };
        let mut freezing = Freezing::begin(freeze, child.id());
        let (mut was_stopped, began) = (false, Instant::now());
        while freezing.stretch().is_none() && began.elapsed() < Duration::from_secs(20) {
            freezing.tend();
            was_stopped |= state(child.id()) == Some('T');
        }
        let (stopped, went_on) = freezing.stretch().unwrap();
        assert!(was_stopped && went_on > stopped);
        assert_ne!(state(child.id()), Some('T'));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn one_that_is_dropped_too_early_lets_its_process_go_on() {
        let mut child = sleeping();
        let freeze = Freeze { after: Duration::ZERO, lasting: Duration::from_secs(60) };
        let mut freezing = Freezing::begin(freeze, child.id());
        freezing.tend();
        let stopped = (0..2_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            state(child.id()) == Some('T')
        });
        drop(freezing);
        let goes_on = (0..2_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            state(child.id()) != Some('T')
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(stopped && goes_on);
    }
}

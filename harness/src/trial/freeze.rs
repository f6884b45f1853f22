//! Freezes the subject on purpose, for a known time: for the self-test.
//!
//! Never leaves the subject frozen: dropping a freeze that goes on ends it.

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

    /// Freezes or thaws the subject if that is due. Returns how long it is until something is.
    pub(super) fn act(&mut self) -> Duration {
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

    /// From when to when it was frozen, once it goes on again.
    pub(super) fn interval(&self) -> Option<(Stamp, Stamp)> {
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
    fn a_process_is_frozen_and_goes_on() {
        let mut child = sleeping();
        let freeze = Freeze { after: Duration::from_millis(1), lasting: Duration::from_millis(20) };
        let mut freezing = Freezing::begin(freeze, child.id());
        let (mut was_stopped, began) = (false, Instant::now());
        while freezing.interval().is_none() && began.elapsed() < Duration::from_secs(20) {
            freezing.act();
            was_stopped |= state(child.id()) == Some('T');
        }
        let (stopped, went_on) = freezing.interval().unwrap();
        assert!(was_stopped && went_on > stopped);
        assert_ne!(state(child.id()), Some('T'));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn dropping_a_freeze_thaws_the_process() {
        let mut child = sleeping();
        let freeze = Freeze { after: Duration::ZERO, lasting: Duration::from_secs(60) };
        let mut freezing = Freezing::begin(freeze, child.id());
        freezing.act();
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

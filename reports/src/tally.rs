//! What became of a run, counted, and the exit code that follows.
//!
//! Never looks at a figure: a slow subject is no failure, a silent one is.

use crate::record::{Record, Status};

/// Trials by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub ok: u64,
    pub unsupported: u64,
    pub failed: u64,
    pub crashed: u64,
    pub timed_out: u64,
    pub unmeasured: u64,
    /// Expectations, not trials: one trial may miss several.
    pub expectations_missed: u64,
}

impl Tally {
    pub fn add(&mut self, record: &Record) {
        let count = match record.status {
            Status::Ok if !record.has_figures() => &mut self.unmeasured,
            Status::Ok => &mut self.ok,
            Status::Unsupported => &mut self.unsupported,
            Status::Failed => &mut self.failed,
            Status::Crashed => &mut self.crashed,
            Status::TimedOut => &mut self.timed_out,
            Status::Unmeasured => &mut self.unmeasured,
        };
        *count += 1;
        let missed = record.demands().filter(|checked| !checked.met).count();
        self.expectations_missed += missed as u64;
    }

    pub fn trials(&self) -> u64 {
        self.ok + self.unsupported + self.unmeasured + self.went_wrong()
    }

    fn went_wrong(&self) -> u64 {
        self.failed + self.crashed + self.timed_out
    }

    /// The worst thing that happened decides, because the code is what a script sees:
    ///
    /// - 3 when anything failed, crashed, timed out or was left unmeasured. It outranks 1, since
    ///   expectations of what was never measured could not be checked;
    /// - 1 when an expectation was missed;
    /// - 4 when nothing ran: no trial at all, or only unsupported ones;
    /// - 0 otherwise. Unsupported cells beside measured ones are no fault.
    pub fn exit_code(&self) -> u8 {
        if self.went_wrong() + self.unmeasured > 0 {
            3
        } else if self.expectations_missed > 0 {
            1
        } else if self.ok == 0 {
            4
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[track_caller]
    fn check(statuses: &[Status], missed: bool, code: u8) {
        let mut tally = Tally::default();
        for status in statuses {
            let mut record = match status {
                Status::Ok => sample::ok("a/b/c", 0, 10.0, 5),
                status => sample::no_figures("a/b/c", 0, *status, None),
            };
            if missed {
                record.expectations = sample::everything()[0].expectations.clone();
            }
            tally.add(&record);
        }
        assert_eq!(tally.exit_code(), code, "{statuses:?}");
        assert_eq!(tally.trials(), statuses.len() as u64);
    }

    #[test]
    fn the_worst_decides() {
        use Status::{Crashed, Failed, Ok, TimedOut, Unmeasured, Unsupported};
        check(&[], false, 4);
        check(&[Unsupported], false, 4);
        check(&[Ok, Unsupported], false, 0);
        check(&[Ok], true, 1);
        for status in [Failed, Crashed, TimedOut, Unmeasured] {
            check(&[Ok, status, Unsupported], true, 3);
        }
    }

    #[test]
    fn an_ok_without_figures_is_not_ok() {
        let mut tally = Tally::default();
        tally.add(&sample::no_figures("a/b/c", 0, Status::Ok, None));
        assert_eq!((tally.ok, tally.unmeasured, tally.exit_code()), (0, 1, 3));
    }
}

//! Stalls of a subject in which nothing was made to stall, by their cause.
//!
//! Those that happened while the whole machine stood still, as an independent watcher recorded it,
//! are counted apart and never left out.

use quadrant_suite::board::Stall;
use quadrant_suite::clock::{ClockScale, Stamp};

/// From when to when the watcher could not run although no other process ran in its place.
pub type Standstill = (Stamp, Stamp);

/// False alarms, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alarms {
    /// Long enough only because the machine stood still.
    pub standstills: u64,
    /// The subject waited in the run queue for most of the time: other processes used its CPU.
    pub neighbours: u64,
    /// The rest.
    pub unexplained: u64,
    /// The longest of the rest: its length, and of that computing and waiting for a CPU, in ns.
    pub longest: Option<[u64; 3]>,
}

impl Alarms {
    /// All but the standstills.
    pub fn false_alarms(self) -> u64 {
        self.neighbours + self.unexplained
    }

    pub fn add(&mut self, other: Alarms) {
        self.standstills += other.standstills;
        self.neighbours += other.neighbours;
        self.unexplained += other.unexplained;
        self.longest = self.longest.max(other.longest);
    }
}

/// Counts the stalls of at least `least_ns`.
pub fn count(
    stalls: &[Stall],
    standstills: &[Standstill],
    clock: ClockScale,
    least_ns: u64,
) -> Alarms {
    let mut alarms = Alarms::default();
    for stall in stalls {
        let ns = clock.ns_between(stall.start, stall.end);
        if ns < least_ns {
            continue;
        }
        let stood_ns: u64 = standstills
            .iter()
            .map(|(start, end)| clock.ns_between(*start.max(&stall.start), *end.min(&stall.end)))
            .sum();
        if ns.saturating_sub(stood_ns) < least_ns {
            alarms.standstills += 1;
        } else if stall.run_queue_ns * 2 > ns {
            alarms.neighbours += 1;
        } else {
            alarms.unexplained += 1;
            alarms.longest = alarms.longest.max(Some([ns, stall.cpu_ns, stall.run_queue_ns]));
        }
    }
    alarms
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn check(
        stall: (u64, u64),
        run_queue_ms: u64,
        still: &[(u64, u64)],
        expected: (u64, u64, u64),
    ) {
        let (start, end) = (stall.0 * MS, stall.1 * MS);
        let stalls = [Stall { slot: 0, start, end, cpu_ns: 0, run_queue_ns: run_queue_ms * MS }];
        let still: Vec<Standstill> =
            still.iter().map(|(start, end)| (start * MS, end * MS)).collect();
        let seen = count(&stalls, &still, ClockScale::MONOTONIC, 10 * MS);
        let (standstills, neighbours, unexplained) = expected;
        let counts = (seen.standstills, seen.neighbours, seen.unexplained);
        assert_eq!(counts, (standstills, neighbours, unexplained), "{stall:?} {still:?}");
        assert_eq!(seen.longest.is_some(), unexplained > 0);
    }

    #[test]
    fn an_alarm_without_a_cause_is_unexplained() {
        check((100, 115), 0, &[], (0, 0, 1));
        check((100, 115), 7, &[], (0, 0, 1));
        check((100, 109), 0, &[], (0, 0, 0));
    }

    #[test]
    fn a_standstill_explains_only_what_it_overlaps() {
        check((100, 115), 0, &[(100, 112)], (1, 0, 0));
        check((100, 115), 0, &[(90, 103), (113, 140)], (0, 0, 1));
        check((100, 115), 0, &[(90, 103), (112, 140)], (1, 0, 0));
        check((100, 115), 0, &[(200, 300)], (0, 0, 1));
        check((100, 140), 0, &[(100, 112)], (0, 0, 1));
    }

    #[test]
    fn waiting_for_a_cpu_has_its_own_count() {
        check((100, 115), 8, &[], (0, 1, 0));
        let both = Alarms { standstills: 5, neighbours: 2, unexplained: 1, longest: None };
        assert_eq!(both.false_alarms(), 3);
    }
}

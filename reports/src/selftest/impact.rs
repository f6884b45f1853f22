//! What pings say of stalls on a loop that has to answer them itself.
//!
//! A ping that is sent while the loop stands still is read when it goes on: the latest of them
//! tells the stall's length, less the time from its beginning to that ping. Judged only where
//! one loop does everything, because another would have answered.

use quadrant_suite::clock::ClockScale;
use quadrant_suite::injection::Injected;
use quadrant_suite::outcome::Ping;

use super::cases::Cases;

/// How many stalls there were to be shown, how many of them a ping showed, and how far the
/// lengths are off that follow from those.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shown {
    pub stalls: u64,
    pub shown: u64,
    pub errors_ns: Vec<f64>,
}

impl Shown {
    pub fn share(&self) -> Cases {
        Cases::share(self.shown, self.stalls)
    }
}

/// Looks at the stalls of at least `least_ns`.
pub fn shown(injected: &[Injected], pings: &[Ping], clock: ClockScale, least_ns: u64) -> Shown {
    let mut result = Shown::default();
    for truth in injected.iter().filter(|truth| truth.wall_ns >= least_ns) {
        result.stalls += 1;
        // Those that it kept waiting until its end.
        let kept = pings.iter().filter(|ping| ping.sent < truth.end && ping.read >= truth.end);
        let lateness = kept.map(|ping| clock.ns_between(ping.sent, ping.read)).max();
        if let Some(lateness_ns) = lateness {
            result.shown += 1;
            result.errors_ns.push(lateness_ns.abs_diff(truth.wall_ns) as f64);
        }
    }
    result
}

/// How many times two pings to one loop were further apart than they should be, of how many: then
/// whoever sends them did not get a CPU in time.
pub fn late_pings(pings: &[Ping], clock: ClockScale, gap_ns: u64) -> (u64, u64) {
    let mut sent: Vec<u64> = pings.iter().map(|ping| ping.sent).collect();
    sent.sort_unstable();
    let late = sent.windows(2).filter(|pair| clock.ns_between(pair[0], pair[1]) > gap_ns).count();
    (late as u64, sent.len().saturating_sub(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrant_suite::injection::Hold;

    const MS: u64 = 1_000_000;

    fn truth(start: u64, ns: u64) -> Injected {
        Injected {
            hold: Hold::Sleep,
            start,
            end: start + ns,
            wall_ns: ns,
            cpu_ns: 0,
            run_queue_ns: 0,
        }
    }

    #[track_caller]
    fn check(pings: &[(u64, u64)], expected: (u64, u64, &[u64])) {
        let pings: Vec<Ping> =
            pings.iter().map(|(sent, read)| Ping { sent: sent * MS, read: read * MS }).collect();
        let injected = [truth(100 * MS, 20 * MS), truth(200 * MS, 2 * MS)];
        let seen = shown(&injected, &pings, ClockScale::MONOTONIC, 5 * MS);
        let errors: Vec<f64> = expected.2.iter().map(|ms| (ms * MS) as f64).collect();
        assert_eq!(seen, Shown { stalls: expected.0, shown: expected.1, errors_ns: errors });
    }

    #[test]
    fn pings_that_were_sent_late_are_counted() {
        let pings = [0, 4, 9, 15, 19].map(|ms| Ping { sent: ms * MS, read: ms * MS });
        assert_eq!(late_pings(&pings, ClockScale::MONOTONIC, 5 * MS), (1, 4));
        assert_eq!(late_pings(&[], ClockScale::MONOTONIC, 5 * MS), (0, 0));
    }

    #[test]
    fn the_first_ping_in_a_stall_tells_its_length() {
        check(&[(98, 98), (103, 120), (108, 120), (122, 122)], (1, 1, &[3]));
        // Answered by somebody else while the stall went on.
        check(&[(103, 104), (108, 109)], (1, 0, &[]));
        check(&[], (1, 0, &[]));
        // Read much later than the stall ended: not this stall's doing, and it shows as an error.
        check(&[(110, 170)], (1, 1, &[40]));
    }
}

//! The clock of all measurements: a stamp costs some 10 ns where the CPU's counter may be used.
//!
//! Stamps can be compared between processes of one machine. The harness chooses the counter once
//! and the plan carries the choice; nothing here chooses.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

/// A moment, in ticks.
pub type Stamp = u64;

/// How ticks become nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockScale {
    /// Whether ticks are those of the CPU's time stamp counter; otherwise they are nanoseconds
    /// of the monotonic clock.
    pub cpu_counter: bool,
    /// Nanoseconds of one tick, times 2^32.
    pub ns_per_tick_shifted: u64,
}

impl ClockScale {
    /// The system's monotonic clock: works everywhere, costs about 30 ns a stamp.
    pub const MONOTONIC: ClockScale =
        ClockScale { cpu_counter: false, ns_per_tick_shifted: 1 << 32 };

    pub fn ns(self, ticks: u64) -> u64 {
        saturated((u128::from(ticks) * u128::from(self.ns_per_tick_shifted)) >> 32)
    }

    pub fn ticks(self, ns: u64) -> u64 {
        saturated((u128::from(ns) << 32) / u128::from(self.ns_per_tick_shifted.max(1)))
    }

    /// The time between two stamps. Zero if the clock stepped back, or if the counters of two CPUs
    /// are slightly apart.
    pub fn ns_between(self, earlier: Stamp, later: Stamp) -> u64 {
        self.ns(later.saturating_sub(earlier))
    }

    /// Makes this process take its stamps from this clock.
    pub fn install(self) {
        CPU_COUNTER.store(self.cpu_counter, Relaxed);
    }
}

/// Saturates instead of cutting off the high half.
fn saturated(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

static CPU_COUNTER: AtomicBool = AtomicBool::new(false);

/// Now.
#[inline]
pub fn stamp() -> Stamp {
    if CPU_COUNTER.load(Relaxed) { cpu_counter() } else { monotonic_ns() }
}

/// Nanoseconds of the system's monotonic clock.
#[inline]
pub fn monotonic_ns() -> u64 {
    #[cfg(unix)]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }
    #[cfg(not(unix))]
    {
        use std::sync::OnceLock;
        use std::time::Instant;
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}

/// The CPU's time stamp counter.
#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unsafe_code)]
pub fn cpu_counter() -> u64 {
    // SAFETY: every x86_64 CPU has the instruction, and it touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub fn cpu_counter() -> u64 {
    monotonic_ns()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_nanoseconds_agree() {
        let scale = ClockScale { cpu_counter: true, ns_per_tick_shifted: (1_u64 << 32) * 10 / 27 };
        for ns in [1_000, 1_000_000, 3_600_000_000_000] {
            assert!(scale.ns(scale.ticks(ns)).abs_diff(ns) <= ns / 100_000 + 2);
        }
        assert_eq!(ClockScale::MONOTONIC.ns(12_345), 12_345);
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_time() {
        assert_eq!(ClockScale::MONOTONIC.ns_between(100, 90), 0);
    }

    #[test]
    fn no_two_stamps_wrap_around() {
        let moments = [0, 1, 2, 1 << 31, 1 << 32, 1 << 62, u64::MAX / 2, u64::MAX - 1, u64::MAX];
        let scales = [1, 1 << 20, (1 << 32) * 10 / 27, 1 << 32, 1 << 40, u64::MAX];
        for ns_per_tick_shifted in scales {
            let scale = ClockScale { cpu_counter: true, ns_per_tick_shifted };
            for earlier in moments {
                let mut last = 0;
                for later in moments {
                    let ns = scale.ns_between(earlier, later);
                    assert!(later > earlier || ns == 0, "{earlier} {later} {scale:?}: {ns}");
                    assert!(ns >= last, "a later stamp is no earlier one");
                    last = ns;
                }
                assert!(scale.ticks(earlier) <= scale.ticks(earlier.saturating_add(1)));
            }
        }
    }

    #[test]
    fn stamps_do_not_run_backwards() {
        let mut last = stamp();
        for _ in 0..1_000 {
            let now = stamp();
            assert!(now >= last);
            last = now;
        }
    }
}

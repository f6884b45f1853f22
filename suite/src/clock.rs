//! The clock of all measurements: a stamp costs some 10 ns where the CPU's counter may be used.
//!
//! Stamps are comparable between processes of one machine. Which counter they come from is
//! decided once by the harness and travels in the plan; nothing here decides by itself.

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
        ((u128::from(ticks) * u128::from(self.ns_per_tick_shifted)) >> 32) as u64
    }

    pub fn ticks(self, ns: u64) -> u64 {
        ((u128::from(ns) << 32) / u128::from(self.ns_per_tick_shifted.max(1))) as u64
    }

    /// The time between two stamps; a clock that stepped back gives zero, not an age.
    pub fn ns_between(self, earlier: Stamp, later: Stamp) -> u64 {
        self.ns(later.saturating_sub(earlier))
    }

    /// Makes this process take its stamps from the clock that this scale belongs to.
    pub fn install(self) {
        CPU_COUNTER.store(self.cpu_counter, Relaxed);
    }
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
    fn stamps_do_not_run_backwards() {
        let mut last = stamp();
        for _ in 0..1_000 {
            let now = stamp();
            assert!(now >= last);
            last = now;
        }
    }
}

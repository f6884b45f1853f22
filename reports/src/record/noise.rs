//! Noise of a trial: when it is worth a warning, and how much of the figures it may explain.
//!
//! Never reads the machine: it judges what was recorded.

use crate::record::{Noise, Record};

/// Shares of the CPU time there was.
const STEAL_MAX: f64 = 0.01;
const OTHERS_MAX: f64 = 0.05;
/// The system counts to 10 ms a CPU: with a short window less than this may be nothing.
const OTHERS_CERTAIN_NS: u64 = 50_000_000;

/// How the warning of a trial begins whose halves differ.
pub const UNSTEADY: &str = "the trial was not steady";
/// The least by which the halves of such a trial differ.
pub const UNSTEADY_MIN: f64 = 0.15;

/// How the warnings about the machine begin.
pub const STEAL: &str = "the host took";
pub const OTHERS: &str = "other processes used";
pub const WAITED: &str = "waited for a CPU";
pub const GOVERNOR: &str = "the CPU frequency governor is";

/// Whether a warning is about the machine, and not about the subject of its trial.
pub(crate) fn is_of_machine(warning: &str) -> bool {
    [STEAL, OTHERS, WAITED, GOVERNOR].iter().any(|begin| warning.starts_with(begin))
}

impl Noise {
    /// The share of the CPU time that the host took for others, where that is worth a warning.
    pub fn steal(&self) -> Option<f64> {
        Some(self.of_capacity(self.steal_ns)).filter(|share| *share > STEAL_MAX)
    }

    /// The same of other processes.
    pub fn others(&self) -> Option<f64> {
        let is_certain = self.others_cpu_ns >= OTHERS_CERTAIN_NS;
        let share = self.of_capacity(self.others_cpu_ns);
        (is_certain && share > OTHERS_MAX).then_some(share)
    }

    fn of_capacity(&self, ns: u64) -> f64 {
        ns as f64 / self.capacity_ns.max(1) as f64
    }
}

/// The share of a record's figures that the noise it was warned of may explain; 0 without any.
pub(crate) fn share(record: &Record) -> f64 {
    let noise = record.noise.as_ref();
    let taken = noise.and_then(Noise::steal).unwrap_or_default()
        + noise.and_then(Noise::others).unwrap_or_default();
    let is_unsteady = record.warnings.iter().any(|warning| warning.starts_with(UNSTEADY));
    taken + if is_unsteady { UNSTEADY_MIN } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[test]
    fn only_what_is_worth_a_warning_counts() {
        let mut record = sample::ok("a/b/c", 0, 10.0, 5);
        assert_eq!(share(&record), 0.0);
        record.noise = Some(sample::noise());
        assert!((share(&record) - 0.15).abs() < 1e-9);
        record.warnings.push(format!("{UNSTEADY}: its second half ran at 0.70× of its first"));
        assert!((share(&record) - 0.30).abs() < 1e-9);
        let quiet = Noise { steal_ns: 1_000_000, others_cpu_ns: 40_000_000, ..sample::noise() };
        assert_eq!((quiet.steal(), quiet.others()), (None, None));
    }
}

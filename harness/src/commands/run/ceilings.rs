//! Forecasts of the load driver's highest rate: a scenario that asks for far more is refused before
//! any trial. Measured once for each shape of load that has a rate.
//!
//! Never judges a trial: the driver's own CPU time in it is the better measure.

use std::collections::BTreeMap;
use std::path::Path;

use quadrant_reports::number;
use quadrant_suite::clock::ClockScale;

use crate::driver::ceiling;
use crate::driver::order::ClientGroup;
use crate::system::cpus::Division;

/// With as many different connections and message sizes this takes at most four seconds of a run that takes minutes.
const SHAPES_MAX: usize = 16;
/// Forecasts were between 20 % below and 17 % above the real limit. A rate is refused only where no
/// forecast within this error would allow it.
const ERROR_MAX: f64 = 0.2;

#[derive(Default)]
pub struct Ceilings(BTreeMap<(u32, usize), Option<u64>>);

impl Ceilings {
    /// About how many requests a second the driver can send in this shape; `None` where that is not
    /// known: the driver shares the only CPU with the subject, measuring
    /// failed, or there are too many shapes.
    pub fn of(
        &mut self,
        clients: &ClientGroup,
        executable: &Path,
        clock: ClockScale,
        cpus: &Division,
    ) -> Option<u64> {
        let shape = (clients.connections, clients.message_bytes);
        if let Some(known) = self.0.get(&shape) {
            return *known;
        }
        if cpus.subject == cpus.driver || self.0.len() >= SHAPES_MAX {
            return None;
        }
        // A machine on which this fails shows the reason in the trials that follow.
        let measured = ceiling::measure(executable, clients, clock, cpus).ok();
        self.0.insert(shape, measured);
        measured
    }
}

/// The clients whose rate can be compared with a ceiling: several groups share the driver's time, and
/// the ceiling is that of plain requests.
pub fn clients(load: &[ClientGroup]) -> Option<&ClientGroup> {
    let [clients] = load else { return None };
    (clients.arrivals.is_some() && clients.is_plain()).then_some(clients)
}

/// Why this load is not tried; `None` if it is.
pub fn refusal(load: &[ClientGroup], ceiling_per_sec: Option<u64>) -> Option<String> {
    let (asked, ceiling) = (clients(load)?.arrivals?.most_per_sec(), ceiling_per_sec? as f64);
    (asked * (1.0 - ERROR_MAX) > ceiling).then(|| {
        format!(
            "{} requests/s are asked for, and the load driver can send about {} on this machine: \
             give the scenario a lower `load.rate`",
            number::rate(asked),
            number::rate(ceiling)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::arrivals::Arrivals;

    #[track_caller]
    fn check(rate: Option<u64>, ceiling: Option<u64>, expected: Option<&str>) {
        let clients =
            ClientGroup { arrivals: rate.map(Arrivals::even), ..ClientGroup::plain(64, 64) };
        assert_eq!(refusal(&[clients], ceiling).as_deref(), expected);
    }

    #[test]
    fn a_rate_clearly_above_the_forecast_is_refused() {
        let refused = "400 k requests/s are asked for, and the load driver can send about 290 k \
                       on this machine: give the scenario a lower `load.rate`";
        check(Some(400_000), Some(290_000), Some(refused));
    }

    #[test]
    fn a_rate_within_the_forecast_error_is_tried() {
        check(Some(362_000), Some(290_000), None);
        check(Some(400_000), None, None);
        check(None, Some(290_000), None);
    }
}

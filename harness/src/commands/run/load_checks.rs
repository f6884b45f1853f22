//! Checks of a trial's load: a driver that was too busy, a rate that was not kept, requests that
//! were sent late, figures that contradict each other.
//!
//! Reads the measurements of one load; never reads the machine.

use quadrant_reports::number;
use quadrant_reports::record::driver_limit;

use crate::driver::order::Load;

/// As shares of the mean time between two moments at which requests are due: from here on there is a
/// warning …
const LAG_WARNED: f64 = 0.1;
/// … and from here on no result.
const LAG_MAX: f64 = 0.5;
/// The least number of late requests.
const LATE_MIN: f64 = 10.0;
/// The relative difference allowed between two figures that have to be equal.
const LITTLE_MAX: f64 = 0.05;
/// Below this share of the rate asked for, the rate was not kept.
const ACHIEVED_MIN: f64 = 0.98;

/// Why the trial has no result, if the driver is the cause.
pub fn why_unmeasured(load: &Load) -> Option<String> {
    load.parts().iter().find_map(|part| late(part, LAG_MAX)).map(|late| {
        format!(
            "{late}: this was not the load asked for. Run again when the machine is quieter, or \
             with a lower `load.rate`"
        )
    })
}

pub fn warnings(load: &Load) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(share) = driver_limit::is_limited(load.busy_ns, load.window_ns) {
        let spoilt = match load.asked_per_sec {
            None => "this subject may be faster than shown; CPU per request is its own",
            Some(_) => "latencies contain the wait for the driver",
        };
        let percent = (share * 100.0).min(100.0);
        warnings.push(format!("the load driver was busy {percent:.0} % of the time: {spoilt}"));
    }
    for part in load.parts() {
        let of_part = if part.name.is_empty() { String::new() } else { format!("{}: ", part.name) };
        let late = late(part, LAG_WARNED).map(|late| format!("{late}: latencies contain that"));
        let found = [rate_not_kept(part), late, little(part)].into_iter().flatten();
        warnings.extend(found.map(|warning| format!("{of_part}{warning}")));
    }
    warnings
}

fn rate_not_kept(load: &Load) -> Option<String> {
    let asked = load.asked_per_sec?;
    ((load.achieved_per_sec as f64) < asked as f64 * ACHIEVED_MIN)
        .then(|| format!("{} of {asked} requests/s asked for were achieved", load.achieved_per_sec))
}

/// That 1 % of the requests were sent late, by more than `share` of the mean time between two moments
/// at which requests are due: two bursts, where it sends the requests of one after the other. In a
/// short window more than 1 % have to be late: a single pause of the driver must not decide.
fn late(load: &Load, share: f64) -> Option<String> {
    let sent = load.send_lag.as_ref()?;
    let point = (1.0 - LATE_MIN / sent.count().max(1) as f64).clamp(0.0, 0.99);
    let lag_ns = sent.quantile(point);
    let interval_ns = load.interval_ns?;
    (lag_ns as f64 > interval_ns as f64 * share).then(|| {
        format!(
            "the load driver sent 1 % of the requests or more at least {} µs late, with {} µs \
             between two due times",
            lag_ns / 1_000,
            interval_ns / 1_000
        )
    })
}

/// Little's law: in a closed loop the mean number in flight is throughput times mean latency.
///
/// Of a request that was sent before the window or answered after it, only a part of the time counts
/// on one side of the equation. At each edge there are at most as many of those as were in flight at
/// once, and none takes longer than the longest: that much is allowed in addition. The first request
/// of a connection has a latency and never counts as in flight: of those there are at most as many as
/// connections.
fn little(load: &Load) -> Option<String> {
    if load.asked_per_sec.is_some() || load.window_ns == 0 {
        return None;
    }
    let window = load.window_ns as f64;
    let in_flight = load.in_flight_mean_milli as f64 / 1e3;
    let per_sec = load.requests as f64 * 1e9 / window;
    let latency_ns = load.latency.mean() as f64;
    let expected = per_sec * latency_ns / 1e9;
    let longest_ns = load.latency.max().max(load.unanswered.max()) as f64;
    let most = load.in_flight_peak.max(load.connections_served.into());
    let at_edges = most as f64 * longest_ns / window;
    let allowed = LITTLE_MAX * in_flight.max(expected) + at_edges;
    ((in_flight - expected).abs() > allowed).then(|| {
        format!(
            "{in_flight:.1} requests were in flight on average, but {} requests/s of {:.1} µs each \
             make {expected:.1}: one of the three figures is wrong (Little's law); please report \
             it with this record",
            number::rate(per_sec),
            latency_ns / 1e3
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrant_suite::histogram::Histogram;

    const MS: u64 = 1_000_000;

    fn histogram(ns: u64, count: u64) -> Histogram {
        let mut histogram = Histogram::default();
        (0..count).for_each(|_| histogram.record(ns));
        histogram
    }

    /// 64 connections, 640 µs for each request, a window of 100 ms.
    fn closed() -> Load {
        Load {
            requests: 10_000,
            latency: histogram(640_000, 10_000),
            unanswered: histogram(320_000, 64),
            in_flight_peak: 64,
            in_flight_mean_milli: 64_000,
            window_ns: 100 * MS,
            ..Load::default()
        }
    }

    /// 10,000 requests a second, of which 2 % were sent so late.
    fn open(lag_ns: u64) -> Load {
        let mut send_lag = histogram(0, 980);
        (0..20).for_each(|_| send_lag.record(lag_ns));
        Load {
            requests: 1_000,
            latency: histogram(MS, 1_000),
            asked_per_sec: Some(10_000),
            interval_ns: Some(100_000),
            achieved_per_sec: 10_000,
            send_lag: Some(send_lag),
            window_ns: 100 * MS,
            ..Load::default()
        }
    }

    #[test]
    fn a_consistent_load_has_no_warning() {
        assert_eq!(warnings(&closed()), Vec::<String>::new());
        assert_eq!(warnings(&open(9_000)), Vec::<String>::new());
    }

    #[test]
    fn a_warning_names_all_contradicting_figures() {
        let law = |in_flight_mean_milli| {
            warnings(&Load { in_flight_mean_milli, ..closed() }).pop().unwrap_or_default()
        };
        assert_eq!(
            law(58_000),
            "58.0 requests were in flight on average, but 100 k requests/s of 640.0 µs each make \
             64.0: one of the three figures is wrong (Little's law); please report it with this \
             record"
        );
        assert_ne!(law(71_000), "");
        assert_eq!(law(62_000), "");
        assert_eq!(law(66_000), "");
    }

    #[test]
    fn requests_cut_by_the_window_do_not_contradict() {
        // All of them waited for half of the window, and are not over: 32 in flight are missing.
        let stuck = Load {
            requests: 5_000,
            latency: histogram(640_000, 5_000),
            unanswered: histogram(50 * MS, 64),
            ..closed()
        };
        assert_eq!(warnings(&stuck), Vec::<String>::new());
    }

    #[test]
    fn first_requests_waiting_to_be_accepted_do_not_contradict() {
        let accepted_late = Load {
            requests: 2_000,
            latency: histogram(80 * MS, 2_000),
            connections_served: 2_000,
            in_flight_peak: 120,
            in_flight_mean_milli: 7_000,
            ..closed()
        };
        assert_eq!(warnings(&accepted_late), Vec::<String>::new());
    }

    #[test]
    fn late_requests_are_attributed_to_the_driver() {
        let warned = warnings(&open(20_000)).pop().unwrap();
        assert!(warned.starts_with("the load driver sent 1 % of the requests or more at least "));
        assert!(
            warned.ends_with(" µs late, with 100 µs between two due times: latencies contain that")
        );
        assert_eq!(why_unmeasured(&open(45_000)), None);
        let reason = why_unmeasured(&open(60_000)).unwrap();
        assert!(reason.contains("this was not the load asked for"), "{reason}");
        assert_eq!(why_unmeasured(&closed()), None);
    }

    /// The 50 requests of a burst are sent one after the other.
    #[test]
    fn bursts_are_late_by_the_time_between_them() {
        let bursts = |lag_ns| Load { interval_ns: Some(20 * MS), ..open(lag_ns) };
        assert_eq!(warnings(&bursts(400_000)), Vec::<String>::new());
        assert_eq!(warnings(&bursts(3 * MS)).len(), 1);
        assert!(why_unmeasured(&bursts(11 * MS)).is_some());
    }

    #[test]
    fn a_busy_driver_gives_a_warning() {
        let busy = |busy_ns, load| warnings(&Load { busy_ns, ..load }).join("\n");
        let closed_loop = "the load driver was busy 95 % of the time: this subject may be faster \
                           than shown; CPU per request is its own";
        assert_eq!(busy(95 * MS, closed()), closed_loop);
        let open_loop = "the load driver was busy 95 % of the time: latencies contain the wait for \
                         the driver";
        assert_eq!(busy(95 * MS, open(0)), open_loop);
        assert_eq!(busy(89 * MS, closed()), "");
    }

    #[test]
    fn a_rate_not_kept_gives_a_warning() {
        let warned = warnings(&Load { achieved_per_sec: 9_000, ..open(0) });
        assert_eq!(warned, ["9000 of 10000 requests/s asked for were achieved"]);
    }
}

//! What a run records about its load: the driver's ceiling, how busy the driver was, and whether
//! the rate was achieved.

use std::time::Duration;

use quadrant_reports::record::{LoadMetrics, Record, Status};

use crate::command::read;
use crate::skip::{Need, skip};
use crate::stage::Stage;

const SIZES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/sizes.yaml");
const TOO_FAST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/too-fast.yaml");
const LIMIT: Duration = Duration::from_secs(240);

fn records(spec: &str) -> Vec<Record> {
    let stage = Stage::new();
    let (_, records) = stage.measure(&[spec, "-r", "threads", "--trials", "2"], &[], LIMIT);
    records.into_iter().filter(|record| record.status == Status::Ok).collect()
}

pub fn a_ceiling_is_measured_only_for_a_rate() {
    if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() < 2) {
        return skip(Need::Cpus, "driver and subject share the only CPU");
    }
    let loads = |spec: &str| -> Vec<LoadMetrics> {
        let metrics = records(spec).into_iter().filter_map(|record| record.metrics);
        metrics.filter_map(|metrics| metrics.load).collect()
    };
    let (closed, open) = (loads(SIZES), loads(TOO_FAST));
    if closed.is_empty() || open.is_empty() {
        return skip(Need::Other, "this machine stood still");
    }
    assert!(closed.iter().chain(&open).all(|load| load.busy_ns > 0));
    assert!(closed.iter().all(|load| load.ceiling_per_sec.is_none()));
    // One ceiling for all trials of a case.
    assert!(open.iter().all(|load| load.ceiling_per_sec == open[0].ceiling_per_sec));
    assert!(closed.iter().all(|load| load.send_lag_ns.is_none()));
    assert!(open.iter().all(|load| load.send_lag_ns.is_some()));
}

pub fn a_rate_above_the_drivers_ceiling_is_refused() {
    if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() < 2) {
        return skip(Need::Cpus, "driver and subject share the only CPU");
    }
    let stage = Stage::new();
    let spec = read(TOO_FAST.as_ref()).replace("5000/s", "1000000/s");
    let spec = stage.write("impossible.yaml", &spec);
    let words = [&*spec, "-r", "threads", "--trials", "2", "--format", "json"];
    let ended = stage.run(&words).run();
    let records = ended.records();
    if records.iter().any(|record| record.metrics.is_some()) {
        return skip(Need::Other, "the ceiling could not be measured");
    }
    for record in &ended.expect_code(3).records() {
        assert_eq!(record.status, Status::Unmeasured);
        let reason = record.reason.as_deref().unwrap();
        assert!(reason.contains("requests/s are asked for"), "{reason}");
        assert!(reason.contains("lower `load.rate`"), "{reason}");
    }
}

pub fn a_missed_rate_is_reported_with_both_figures() {
    let records = records(TOO_FAST);
    assert!(!records.is_empty());
    for record in &records {
        let metrics = record.metrics.as_ref().unwrap();
        let load = metrics.load.as_ref().unwrap();
        assert_eq!(load.asked_per_sec, Some(5_000));
        // One connection with 5 ms per request carries at most 200 requests/s.
        assert!(metrics.ops_per_sec < 250.0, "{}", metrics.ops_per_sec);
        let warning = "of 5000 requests/s asked for were achieved";
        assert!(record.warnings.iter().any(|text| text.contains(warning)), "{:?}", record.warnings);
        assert!(load.backlog_peak.unwrap() > 0);
    }
}

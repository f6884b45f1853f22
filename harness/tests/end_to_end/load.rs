//! What a run knows of its own load: how much the driver could carry, and whether it made what
//! it was asked for.

use std::time::Duration;

use quadrant_reports::record::{Record, Status};

use crate::stage::{Stage, skip};

const SIZES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/sizes.yaml");
const TOO_FAST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/too-fast.yaml");
const LIMIT: Duration = Duration::from_secs(240);

fn records(spec: &str) -> Vec<Record> {
    let stage = Stage::new();
    let (_, records) = stage.measure(&[spec, "-r", "threads", "--trials", "2"], &[], LIMIT);
    records.into_iter().filter(|record| record.status == Status::Ok).collect()
}

#[test]
fn the_drivers_ceiling_is_known_once_for_each_shape_of_load() {
    if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() < 2) {
        return skip("driver and subject share the only CPU");
    }
    let ceilings = |size: &str, records: &[Record]| -> Vec<u64> {
        let of_it = records.iter().filter(|record| record.case[0].value == size);
        let loads = of_it.map(|record| record.metrics.as_ref().unwrap().load.as_ref().unwrap());
        loads.filter_map(|load| load.ceiling_per_sec).collect()
    };
    let records = records(SIZES);
    let (small, large) = (ceilings("64B", &records), ceilings("1MiB", &records));
    if small.is_empty() || large.is_empty() {
        return skip("this machine stood still");
    }
    // One for all trials of a case, and sixteen thousand times the bytes are no cheaper.
    assert!(small.windows(2).chain(large.windows(2)).all(|pair| pair[0] == pair[1]));
    assert!(small[0] > large[0], "{small:?} {large:?}");
    let busy = |record: &Record| record.metrics.as_ref().unwrap().load.as_ref().unwrap().busy_ns;
    assert!(records.iter().all(|record| busy(record) > 0));
}

#[test]
fn a_rate_that_is_not_kept_is_told_with_both_figures() {
    let records = records(TOO_FAST);
    assert!(!records.is_empty());
    for record in &records {
        let metrics = record.metrics.as_ref().unwrap();
        let load = metrics.load.as_ref().unwrap();
        assert_eq!(load.asked_per_sec, Some(5_000));
        // One connection that takes 5 ms for each carries 200 a second at the very most.
        assert!(metrics.ops_per_sec < 250.0, "{}", metrics.ops_per_sec);
        let told = "of 5000 requests/s asked for were achieved";
        assert!(record.warnings.iter().any(|text| text.contains(told)), "{:?}", record.warnings);
        assert!(load.backlog_peak.unwrap() > 0);
    }
}

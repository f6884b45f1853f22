//! Whole comparisons of made-up runs.

use super::*;
use crate::record::{AxisValue, Record};
use crate::sample;

fn side(options: &Options, records: &[Record]) -> Side {
    let mut side = options.side();
    records.iter().for_each(|record| side.add(record));
    side
}

fn comparison(base: &[Record], new: &[Record]) -> Comparison {
    let options = Options::default();
    Comparison::of(&side(&options, base), &side(&options, new), options)
}

fn trials(id: &str, ops_per_sec: f64, latency_us: u64) -> Vec<Record> {
    [1.0, 1.002, 0.998]
        .into_iter()
        .zip(0..)
        .map(|(weather, trial)| sample::ok(id, trial, ops_per_sec * weather, latency_us))
        .collect()
}

fn crashed(id: &str, trial: u32) -> Record {
    sample::told(id, trial, Status::Crashed, Some("killed by signal 11"))
}

/// Two cases with every verdict and every change of status.
fn two_runs() -> (Vec<Record>, Vec<Record>) {
    let unsupported =
        |id: &str| sample::told(id, 0, Status::Unsupported, Some("io_uring is disabled here"));
    let base = [
        trials("tokio/multi-thread/epoll", 180_000.0, 350),
        trials("smol/multi-thread/epoll", 120_000.0, 500),
        trials("async-std/multi-thread/epoll", 110_000.0, 510),
        trials("threads/thread-per-task/blocking", 90_000.0, 640),
        trials("monoio/per-core/epoll", 170_000.0, 360),
        vec![crashed("ntex/per-core/epoll", 0)],
        vec![unsupported("glommio/per-core/io_uring")],
        trials("heph/per-core/epoll", 70_000.0, 800),
    ]
    .concat();
    let mut wide = trials("threads/thread-per-task/blocking", 90_000.0, 640);
    for (record, factor) in wide.iter_mut().zip([0.7, 1.4, 1.0]) {
        record.metrics.as_mut().unwrap().ops_per_sec *= factor;
        record.metrics.as_mut().unwrap().threads.peak = 7;
        record.warnings.push("others used 12 % of the CPUs".into());
    }
    let mut broken = trials("monoio/per-core/epoll", 170_000.0, 360);
    broken[1] = crashed("monoio/per-core/epoll", 1);
    let new = [
        trials("tokio/multi-thread/epoll", 162_000.0, 400),
        trials("smol/multi-thread/epoll", 120_100.0, 500),
        trials("async-std/multi-thread/epoll", 132_000.0, 420),
        wide,
        broken,
        trials("ntex/per-core/epoll", 100_000.0, 500),
        vec![unsupported("glommio/per-core/io_uring")],
        trials("nuclei/per-core/io_uring", 80_000.0, 700),
    ]
    .concat();
    (base, new)
}

fn written(comparison: &Comparison, format: Format) -> String {
    let names = Names {
        base: "results/before".into(),
        new: "results/after".into(),
        unlike: vec!["kernel: 6.1.0 in BASE, 6.2.0 in NEW".into()],
    };
    let mut output = Vec::new();
    comparison.write(&mut output, format, &names, Style { color: false, width: 120 }).unwrap();
    String::from_utf8(output).unwrap()
}

fn both() -> Comparison {
    let (base, new) = two_runs();
    comparison(&base, &new)
}

#[test]
fn every_verdict_as_a_table() {
    insta::assert_snapshot!(written(&both(), Format::Table));
}

#[test]
fn every_verdict_as_a_page() {
    insta::assert_snapshot!(written(&both(), Format::Markdown));
}

#[test]
fn every_verdict_as_json() {
    let value: serde_json::Value = serde_json::from_str(&written(&both(), Format::Json)).unwrap();
    assert_eq!(value["counts"]["regressed"], 2);
    assert_eq!(value["cells"][0]["verdict"], "regressed");
    assert_eq!(value["cells"][0]["case"]["connections"], "1024");
    let ratio = value["cells"][0]["metrics"]["ops_per_sec"]["ratio"].as_f64().unwrap();
    assert!((ratio - 0.9).abs() < 1e-9);
    assert_eq!(value["geometric_means"]["ops_per_sec"]["cells"], 4);
    assert_eq!(value["cells"][8]["base"], serde_json::Value::Null);
}

#[test]
fn everything_is_counted_once() {
    let comparison = both();
    let expected = Counts {
        regressed: 2,
        improved: 2,
        same: 1,
        cannot_tell: 1,
        without_figures: 1,
        only_in_base: 1,
        only_in_new: 1,
    };
    assert_eq!(comparison.counts(), expected);
    assert_eq!(comparison.exit_code(), 1);
}

#[test]
fn a_run_against_itself_is_the_same() {
    let (base, _) = two_runs();
    let itself = comparison(&base, &base);
    let counts = itself.counts();
    assert_eq!((counts.same, counts.compared()), (6, 6));
    assert_eq!(itself.exit_code(), 0);
}

#[test]
fn nothing_in_common_is_nothing_compared() {
    let (base, _) = two_runs();
    assert_eq!(comparison(&base, &[]).exit_code(), 4);
    assert_eq!(comparison(&[], &[]).exit_code(), 4);
    let crashed = [crashed("a/b/c", 0)];
    assert_eq!(comparison(&crashed, &crashed).exit_code(), 4);
}

#[test]
fn a_change_of_status_is_a_verdict_unless_nothing_is_known() {
    use Status::{Crashed, Failed, TimedOut, Unmeasured, Unsupported};
    for (status, expected) in [
        (Crashed, Verdict::Regressed),
        (Failed, Verdict::Regressed),
        (TimedOut, Verdict::Regressed),
        (Unsupported, Verdict::Regressed),
        (Unmeasured, Verdict::CannotTell),
    ] {
        let fine = trials("a/b/c", 10.0, 5);
        let bad = [sample::told("a/b/c", 0, status, None)];
        let verdict = |base, new| comparison(base, new).cells()[0].verdict;
        assert_eq!(verdict(&fine, &bad), Some(expected), "{status:?}");
        let back = match expected {
            Verdict::Regressed => Verdict::Improved,
            other => other,
        };
        assert_eq!(verdict(&bad, &fine), Some(back), "{status:?}");
    }
}

#[test]
fn a_trial_made_again_counts_as_it_was_last() {
    let fine = trials("a/b/c", 10.0, 5);
    let mut resumed = vec![sample::told("a/b/c", 1, Status::Crashed, Some("power cut"))];
    resumed.extend(fine.clone());
    assert_eq!(comparison(&fine, &resumed).cells()[0].verdict, Some(Verdict::Same));
}

#[test]
fn axes_in_another_order_are_the_same_case() {
    let axis = |axis: &str, value: &str| AxisValue { axis: axis.into(), value: value.into() };
    let with = |axes: [AxisValue; 2]| -> Vec<Record> {
        let mut records = trials("a/b/c", 10.0, 5);
        records.iter_mut().for_each(|record| record.case = axes.to_vec());
        records
    };
    let base = with([axis("how", "await"), axis("n", "1")]);
    let new = with([axis("n", "1"), axis("how", "await")]);
    assert_eq!(comparison(&base, &new).counts().same, 1);
}

#[test]
fn another_metric_decides_when_asked() {
    let options = Options { metric: "latency.p99".into(), ..Options::default() };
    let base = trials("a/b/c", 1_000.0, 500);
    let new = trials("a/b/c", 1_000.0, 600);
    let comparison = Comparison::of(&side(&options, &base), &side(&options, &new), options);
    assert_eq!(comparison.cells()[0].verdict, Some(Verdict::Regressed));
    let text = written(&comparison, Format::Table);
    assert!(text.contains("latency.p99"), "{text}");
}

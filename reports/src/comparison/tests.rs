//! Whole comparisons of made-up runs.

use super::*;
use crate::record::{self, AxisValue, Record, Status};
use crate::tests::sample::{self, InTurns};

fn side(options: &Options, records: &[Record]) -> Side {
    let mut side = options.side();
    sample::whole_cases(records).iter().for_each(|case| side.add(&case.records));
    side
}

fn comparison(base: &[Record], new: &[Record]) -> Comparison {
    let options = Options::default();
    Comparison::of(side(&options, base), side(&options, new), options)
}

fn trials(id: &str, ops_per_sec: f64, latency_us: u64) -> Vec<Record> {
    [1.0, 1.002, 0.998]
        .into_iter()
        .zip(0..)
        .map(|(drift, trial)| sample::ok(id, trial, ops_per_sec * drift, latency_us))
        .collect()
}

fn crashed(id: &str, trial: u32) -> Record {
    sample::no_figures(id, trial, Status::Crashed, Some("killed by signal 11"))
}

/// Two cases with every verdict and every change of status.
fn two_runs() -> (Vec<Record>, Vec<Record>) {
    let unsupported = |id: &str| {
        sample::no_figures(id, 0, Status::Unsupported, Some("io_uring is disabled here"))
    };
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
        record.metrics.as_mut().unwrap().cpu_ns = (486_000_000.0 * factor) as u64;
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
    assert!((ratio - 0.9).abs() < 0.01);
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
fn a_change_of_status_is_a_verdict() {
    use Status::{Crashed, Failed, TimedOut, Unmeasured, Unsupported};
    for (status, expected) in [
        (Crashed, Verdict::Regressed),
        (Failed, Verdict::Regressed),
        (TimedOut, Verdict::Regressed),
        (Unsupported, Verdict::Regressed),
        (Unmeasured, Verdict::CannotTell),
    ] {
        let fine = trials("a/b/c", 10.0, 5);
        let bad = [sample::no_figures("a/b/c", 0, status, None)];
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
fn a_repeated_trial_replaces_the_first() {
    let fine = trials("a/b/c", 10.0, 5);
    let mut resumed = vec![sample::no_figures("a/b/c", 1, Status::Crashed, Some("power cut"))];
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
    let options = Options { metric: Some("latency.p99".into()), ..Options::default() };
    let base = trials("a/b/c", 1_000.0, 500);
    let new = trials("a/b/c", 1_000.0, 600);
    let comparison = Comparison::of(side(&options, &base), side(&options, &new), options);
    assert_eq!(comparison.cells()[0].verdict, Some(Verdict::Regressed));
    let text = written(&comparison, Format::Table);
    assert!(text.contains("latency.p99"), "{text}");
}

const R: &str = "r/loop/epoll";

/// Subjects of a run in turns, some of them with two speeds.
fn subjects() -> Vec<(String, f64, f64)> {
    let subject = |index: u32| {
        let rate = 60_000.0 + 9_000.0 * f64::from(index);
        (format!("s{index}/loop/epoll"), rate, 0.8e9 / rate)
    };
    (0..14).map(subject).chain([(R.to_owned(), 150_000.0, 5_000.0)]).collect()
}

fn run(seed: u64, machine: f64, slower: f64) -> Vec<Record> {
    // Run by run the standard deviation from start to start is another one.
    let noise = 0.02 + 0.01 * f64::from(seed as u32 % 3) / 2.0;
    let case = InTurns { seed, machine, noise, reference: Some(R), ..InTurns::new(10) };
    let subjects = subjects();
    let mut borrowed: Vec<(&str, f64, f64)> =
        subjects.iter().map(|(id, rate, cpu)| (id.as_str(), *rate, *cpu)).collect();
    borrowed[0].1 /= 1.0 + slower;
    borrowed[0].2 *= 1.0 + slower;
    let mut records = case.with_cpu(&borrowed);
    for (id, every) in [("s1/loop/epoll", 2), ("s2/loop/epoll", 3)] {
        sample::edit_turns(&mut records, id, |start, turn| {
            // Which starts are the slow ones is chance.
            if (u64::from(start) * 7 + seed * 13).is_multiple_of(every) {
                turn.operations = (turn.operations as f64 * 0.89) as u64;
                turn.thawed.cpu_ns = (turn.thawed.cpu_ns as f64 * 1.12) as u64;
            }
        });
    }
    records
}

#[test]
fn identical_runs_are_mostly_the_same() {
    let (mut flagged, mut same, mut all) = (0, 0, 0);
    for (seed, machine) in (0..40).zip([1.0, 0.8, 1.2, 0.95].into_iter().cycle()) {
        let comparison = comparison(&run(seed, 1.0, 0.0), &run(seed + 1_000, machine, 0.0));
        for cell in comparison.cells().iter().filter(|cell| cell.key.subject != R) {
            let is_change = cell.verdict.is_some_and(Verdict::is_change);
            let below = cell.deciding().unwrap().below(0.02);
            all += 1;
            flagged += u32::from(is_change);
            same += u32::from(below.is_some_and(|below| below < 0.05));
            assert_eq!(cell.deciding().unwrap().basis, Basis::Reference);
        }
    }
    assert!(f64::from(flagged) <= 0.014 * f64::from(all), "{flagged} of {all} flagged");
    assert!(f64::from(same) >= 0.8 * f64::from(all), "{same} of {all} the same");
}

#[test]
fn ten_per_cent_more_cpu_time_is_found() {
    let found = (0..40)
        .filter(|&seed| {
            let comparison = comparison(&run(seed, 1.0, 0.0), &run(seed + 1_000, 0.9, 0.10));
            comparison.cells()[0].verdict == Some(Verdict::Regressed)
        })
        .count();
    assert!(found >= 38, "{found} of 40");
}

#[test]
fn the_reference_itself_is_never_flagged() {
    let comparison = comparison(&run(1, 1.0, 0.0), &run(2, 0.6, 0.0));
    let reference = comparison.cells().iter().find(|cell| cell.key.subject == R).unwrap();
    assert_eq!(reference.verdict, Some(Verdict::CannotTell));
    assert_eq!(reference.doubt, Some(Doubt::Reference));
}

#[test]
fn a_changed_reference_changes_no_other_verdict() {
    let mut new = run(2, 1.0, 0.0);
    for record in new.iter_mut().filter(|record| record.subject.id == R) {
        for turn in record.turns.iter_mut().flat_map(|turns| &mut turns.rounds) {
            turn.thawed.cpu_ns = turn.thawed.cpu_ns * 3 / 2;
            turn.operations = turn.operations * 2 / 3;
        }
    }
    let comparison = comparison(&run(1, 1.0, 0.0), &new);
    for cell in comparison.cells() {
        assert!(!cell.verdict.is_some_and(Verdict::is_change), "{cell:?}");
    }
    assert!(comparison.cells().iter().any(|cell| cell.doubt == Some(Doubt::Others)));
}

#[test]
fn another_version_of_the_reference_is_not_used() {
    let mut new = run(2, 1.0, 0.0);
    for record in new.iter_mut().filter(|record| record.subject.id == R) {
        record.subject.version = "9.9.9".into();
    }
    let comparison = comparison(&run(1, 1.0, 0.0), &new);
    // The others of the case stand in for it.
    assert_eq!(comparison.cells()[0].deciding().unwrap().basis, Basis::Others);
    let text = written(&comparison, Format::Markdown);
    assert!(text.contains("the same reference did not take turns"), "{text}");
}

#[test]
fn a_change_that_noise_may_explain_is_no_verdict() {
    let noisy = |share: f64, slower: f64, records: &[Record]| -> Vec<Record> {
        let mut records = records.to_vec();
        for record in &mut records {
            let noise = sample::noise();
            let others_cpu_ns = (share * noise.capacity_ns as f64) as u64;
            record.noise = Some(record::Noise { steal_ns: 0, others_cpu_ns, ..noise });
        }
        sample::edit_turns(&mut records, "a/b/c", |_, turn| {
            turn.operations = (turn.operations as f64 / (1.0 + slower)) as u64;
        });
        records
    };
    let base = InTurns { noise: 0.002, reference: Some(R), ..InTurns::new(10) };
    let base = base.records(&[(R, 150.0e3), ("a/b/c", 100.0e3)]);
    let cell = |share, slower| {
        let comparison = comparison(&base, &noisy(share, slower, &base));
        let cell = &comparison.cells()[1];
        (cell.verdict.unwrap(), cell.doubt)
    };
    assert_eq!(cell(0.0, 0.15), (Verdict::Regressed, None));
    // Throughput is what changed here, and CPU time is not.
    assert_eq!(cell(0.2, 0.15).0, Verdict::Same);
    assert_eq!(cell(0.2, 0.60), (Verdict::Regressed, None));
    let options = Options { metric: Some(THROUGHPUT.into()), ..Options::default() };
    let of_throughput =
        Comparison::of(side(&options, &base), side(&options, &noisy(0.2, 0.15, &base)), options);
    let cell = &of_throughput.cells()[1];
    assert_eq!((cell.verdict, cell.doubt), (Some(Verdict::CannotTell), Some(Doubt::Noise)));
}

#[test]
fn cases_without_turns_are_related_to_their_other_subjects() {
    let of = |machine: f64, slower: f64| -> Vec<Record> {
        let ids = ["a/b/c", "d/e/f", "g/h/i", "j/k/l", "m/n/o"];
        let trial = |(trial, id): (u32, &&str)| {
            let own = 1.0 + 0.002 * f64::from(trial % 3);
            let rate = if **id == *ids[0] { 1.0 + slower } else { 1.0 };
            let record = sample::ok(id, trial, 2_000.0, (900.0 * own) as u64);
            sample::edit(record, |metrics| {
                metrics.cpu_ns = (metrics.ops as f64 * 5_000.0 * own * machine * rate) as u64;
                metrics.load = Some(sample::load(4, 4, Some(2_000)));
            })
        };
        (0..7).flat_map(|number| ids.iter().map(move |id| (number, id))).map(trial).collect()
    };
    let slow_machine = comparison(&of(1.0, 0.0), &of(1.2, 0.0));
    assert_eq!(slow_machine.counts().same, 5);
    let slow_subject = comparison(&of(1.0, 0.0), &of(1.2, 0.1));
    let counts = slow_subject.counts();
    assert_eq!((counts.regressed, counts.same), (1, 4));
    assert_eq!(slow_subject.cells()[0].decided_by.as_deref(), Some("cpu_ns_per_op"));
}

/// A load driver of nine tenths never lets throughput decide, whether or not a rate was asked for.
#[test]
fn a_busy_driver_takes_throughput_out_of_a_verdict() {
    for asked in [None, Some(200_000)] {
        let of = |ops_per_sec: f64, busy: f64| -> Vec<Record> {
            let limit = |record| {
                sample::edit(record, |metrics| {
                    let busy_ns = (metrics.elapsed_ns as f64 * busy) as u64;
                    let load = sample::load(64, 64, asked);
                    metrics.load = Some(record::LoadMetrics { busy_ns, ..load });
                })
            };
            trials("a/b/c", ops_per_sec, 300).into_iter().map(limit).collect()
        };
        let verdict =
            |busy| comparison(&of(100_000.0, busy), &of(80_000.0, busy)).cells()[0].verdict;
        assert_eq!(verdict(0.89), Some(Verdict::Regressed), "{asked:?}");
        assert_eq!(verdict(0.95), Some(Verdict::Same), "{asked:?}");
        let one_side = comparison(&of(100_000.0, 0.3), &of(80_000.0, 0.95));
        assert_eq!(one_side.cells()[0].verdict, Some(Verdict::Same), "{asked:?}");
    }
}

/// Where each run has one version of a subject, the two are compared as one subject. Where a run has two
/// versions, it is unknown which of them to compare with the other run.
#[test]
fn two_versions_of_a_subject_are_one_cell() {
    let versioned = |version: &str, ops_per_sec| {
        let runtime = format!("tokio@{version}");
        let mut records =
            trials(&format!("{runtime}/multi-thread/epoll?lifo=off"), ops_per_sec, 350);
        records.iter_mut().for_each(|record| record.subject.runtime.clone_from(&runtime));
        records
    };
    let names = |base: &[Record], new: &[Record]| {
        let comparison = comparison(base, new);
        let cells = comparison.cells.iter();
        cells.map(|cell| (cell.key.subject.clone(), cell.verdict)).collect::<Vec<_>>()
    };
    let [old, path] = [versioned("1.51.0", 180_000.0), versioned("path:../tokio", 90_000.0)];
    let found = names(&old, &path);
    let name = "tokio@1.51.0→path:../tokio/multi-thread/epoll?lifo=off";
    assert_eq!(found, [(name.to_owned(), Some(Verdict::Regressed))]);
    // Which of the two would it be?
    let both = [old, path].concat();
    assert!(names(&both, &versioned("1.52.2", 1.0)).iter().all(|(_, verdict)| verdict.is_none()));
}

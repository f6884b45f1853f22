//! Trials of a misbehaving subject, with every fault that the adapter `faulty` has. A healthy
//! subject alternates with it and must not be affected.

use std::time::Duration;

use quadrant_reports::record::{Record, Status};

use crate::redact::redacted;
use crate::stage::{Stage, Subject, subjects, was_starved};

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/echo.yaml");
/// For faults that may need longer on a busy machine. They end the trial when they occur.
const PATIENT_SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/patient.yaml");
/// For faults of reading files.
const FILES_SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/files.yaml");
/// For what a runtime may do wrong with tasks.
const SPAWNING_SPEC: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/spawning.yaml");
const YIELDING_SPEC: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/yielding.yaml");
const WRITING_SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/writing.yaml");
const COMPUTING_SPEC: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/computing.yaml");
const HEALTHY: &str = "threads/thread-per-task/blocking";

/// For each fault, its status and the exit code of a run with it and a healthy subject.
const FAULTS: &[(&str, Status, i32)] = &[
    ("behaves", Status::Ok, 0),
    ("claims-io_uring", Status::Ok, 0),
    ("refuses", Status::Unsupported, 0),
    ("fails", Status::Failed, 3),
    ("deadlocks", Status::TimedOut, 3),
    ("dies-when-ready", Status::Crashed, 3),
    ("returns-early", Status::Failed, 3),
    ("joins-early", Status::Failed, 3),
    ("hides-stall", Status::Unmeasured, 3),
    ("ignores-pings", Status::Unmeasured, 3),
    ("panics-in-run", Status::Failed, 3),
    ("aborts", Status::Crashed, 3),
    ("exits", Status::Crashed, 3),
    ("segfaults", Status::Crashed, 3),
    ("prints-without-end", Status::Failed, 3),
    ("allocates-without-end", Status::Failed, 3),
    ("leaks-child", Status::Ok, 0),
    ("panics-in-task", Status::Failed, 3),
    ("swallows-answers", Status::Unmeasured, 3),
    ("answers-wrongly", Status::Failed, 3),
    ("reads-wrongly", Status::Failed, 3),
    ("writes-wrongly", Status::Failed, 3),
    ("closes-connections", Status::Failed, 3),
    ("yields-not", Status::Failed, 3),
    ("joins-at-once", Status::Failed, 3),
    ("drops-tasks", Status::Failed, 3),
    ("loses-task", Status::Failed, 3),
    ("stalls", Status::Ok, 0),
    ("slows-down", Status::Ok, 0),
    ("hangs", Status::TimedOut, 3),
    ("returns-garbage", Status::Failed, 3),
    ("returns-no-text", Status::Failed, 3),
    ("returns-twice", Status::Ok, 0),
    ("returns-nothing", Status::Crashed, 3),
];

/// A fault that uses all of a CPU is easily starved by what else runs.
const ATTEMPTS: usize = 4;

/// Both subjects run twice, so in any order the healthy one runs after the other at least once.
#[track_caller]
fn run(fault: &str, code: i32) -> Vec<Record> {
    let stage = Stage::new();
    let faulty = format!("faulty/{fault}");
    let spec = match fault {
        "reads-wrongly" => FILES_SPEC,
        "writes-wrongly" => WRITING_SPEC,
        "joins-at-once" | "drops-tasks" => SPAWNING_SPEC,
        "yields-not" => YIELDING_SPEC,
        "loses-task" => COMPUTING_SPEC,
        _ if fault.ends_with("-without-end") => PATIENT_SPEC,
        _ => SPEC,
    };
    let what = ["--with-test-adapters", spec, "-r", &faulty, "-r", HEALTHY, "--trials", "2"];
    let limits = ["--time-limit", "4", "--memory-limit", "128"];
    let (ended, records) = stage.measure(&what, &limits, Duration::from_secs(240));
    assert_eq!(ended.code, Some(code), "{fault}: {records:#?}");
    records
}

/// The healthy subject succeeds in every run.
pub fn every_fault_becomes_a_record_with_a_reason() {
    let mut reasons = String::new();
    for (fault, status, code) in FAULTS {
        let is_it = |subject: &&Subject| subject.runtime == "faulty" && subject.executor == *fault;
        if subjects().iter().find(is_it).is_some_and(|subject| !subject.available) {
            // The fault needs something that this machine lacks.
            reasons.push_str(&format!("{fault}: -\n"));
            continue;
        }
        let attempts = std::iter::repeat_with(|| run(fault, *code)).take(ATTEMPTS);
        let whole = |records: &Vec<Record>| !records.iter().any(was_starved);
        let Some(records) = attempts.into_iter().find(whole) else {
            panic!("{fault}: the machine is too busy, in each of {ATTEMPTS} runs");
        };
        let (healthy, faulty): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| record.subject.id == HEALTHY);
        assert_eq!(healthy.len(), 2, "{fault}");
        for record in healthy {
            assert_eq!((record.status, &record.reason), (Status::Ok, &None), "{fault}");
            assert!(record.metrics.as_ref().unwrap().ops > 0, "{fault}");
        }
        // A subject that refuses the work is not tried again, nor is one that does not end it.
        let is_final = matches!(status, Status::Unsupported | Status::TimedOut);
        let trials = if is_final { 1 } else { 2 };
        assert_eq!(faulty.len(), trials, "{fault}");
        for record in &faulty {
            assert_eq!(record.status, *status, "{fault}: {:?}", record.reason);
            // Either figures or a reason, never both.
            assert_eq!(record.metrics.is_some(), *status == Status::Ok, "{fault}");
            assert_eq!(record.reason.is_none(), *status == Status::Ok, "{fault}");
        }
        let reason = faulty[0].reason.as_deref().unwrap_or("-");
        // Linux resets a socket that is closed before its last request was read.
        let reason = reason.replace("the subject reset a", "the subject closed a");
        reasons.push_str(&format!("{fault}: {}\n", redacted(&reason)));
    }
    insta::assert_snapshot!("every_fault_becomes_a_record_with_a_reason", reasons);
}

pub fn every_fault_of_the_adapter_is_tested() {
    let listed = subjects().iter().filter(|subject| subject.runtime == "faulty");
    let mut listed: Vec<&str> = listed.map(|subject| &*subject.executor).collect();
    let mut tested: Vec<&str> = FAULTS.iter().map(|(fault, _, _)| *fault).collect();
    listed.sort_unstable();
    tested.sort_unstable();
    assert_eq!(listed, tested);
}

pub fn stalls_of_the_faulty_subject_are_counted() {
    for record in run("stalls", 0) {
        let stalls = &record.metrics.as_ref().unwrap().stalls;
        if record.subject.runtime == "faulty" {
            // The fault holds single polls for 50 ms.
            assert!(stalls.count > 0 && stalls.longest_ns >= 50_000_000, "{stalls:?}");
        }
    }
}

pub fn only_a_trial_that_slows_down_is_reported() {
    let is_warned = |record: &Record| {
        let warning = "the trial was not steady: its second half ran at 0.";
        record.warnings.iter().any(|text| text.starts_with(warning))
    };
    // Steal of a third of the CPU time hides a change of speed: then the run is repeated.
    let mut attempts = (0..5).map(|_| run("slows-down", 0));
    let records = attempts.find(|records| {
        let mut faulty = records.iter().filter(|it| it.subject.runtime == "faulty");
        let healthy = records.iter().filter(|it| it.subject.id == HEALTHY);
        // Noise may start in the middle of one of the healthy trials, but hardly of both.
        faulty.all(is_warned) && healthy.filter(|it| is_warned(it)).count() < 2
    });
    for record in &records.expect("the warning is on the trial that slows down only") {
        let progress = &record.metrics.as_ref().unwrap().progress;
        assert!(progress.len() >= 8 && progress.is_sorted(), "{progress:?}");
        // The first sample may be late if another process has the CPU.
        let requests = record.metrics.as_ref().unwrap().ops;
        let own = progress.last().unwrap().1;
        assert!((requests / 2..=requests + 10).contains(&own), "{own} of {requests}");
    }
}

pub fn a_table_shows_reasons_in_place_of_figures() {
    let stage = Stage::new();
    let out = stage.named("results");
    let ended = stage
        .call()
        .args(["run", "--no-build", "--with-test-adapters", SPEC, "-r", "faulty/exits"])
        .args(["--trials", "1", "--out", &out])
        .run()
        .expect_code(3);
    let row = ended.stdout.lines().find(|line| line.contains("faulty/exits/none")).unwrap();
    assert!(row.contains("ended with exit code 7"), "{row}");
}

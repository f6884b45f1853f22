//! What becomes of a trial when its subject misbehaves, in every way that `faulty` knows, while
//! a healthy subject takes turns with it.

use std::time::Duration;

use quadrant_reports::record::{Record, Status};

use crate::redact::redacted;
use crate::stage::{Stage, Subject, subjects};

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/echo.yaml");
/// For faults that need a while on a busy machine; they end the trial as soon as they show.
const PATIENT_SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/patient.yaml");
/// For faults of reading files.
const FILES_SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/files.yaml");
const HEALTHY: &str = "threads/thread-per-task/blocking";

/// What each fault has to become, and the exit code of a run with it and a healthy subject.
const FAULTS: &[(&str, Status, i32)] = &[
    ("behaves", Status::Ok, 0),
    ("claims-io_uring", Status::Ok, 0),
    ("refuses", Status::Unsupported, 0),
    ("fails", Status::Failed, 3),
    ("deadlocks", Status::TimedOut, 3),
    ("dies-when-ready", Status::Crashed, 3),
    ("returns-early", Status::Failed, 3),
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
    ("answers-wrongly", Status::Failed, 3),
    ("reads-wrongly", Status::Failed, 3),
    ("closes-connections", Status::Failed, 3),
    ("stalls", Status::Ok, 0),
    ("slows-down", Status::Ok, 0),
    ("hangs", Status::TimedOut, 3),
    ("returns-garbage", Status::Failed, 3),
    ("returns-no-text", Status::Failed, 3),
    ("returns-twice", Status::Ok, 0),
    ("returns-nothing", Status::Crashed, 3),
];

/// Both subjects, twice: whatever the order, the healthy one runs after the other at least once.
#[track_caller]
fn run(fault: &str, code: i32) -> Vec<Record> {
    let stage = Stage::new();
    let faulty = format!("faulty/{fault}");
    let spec = match fault {
        "reads-wrongly" => FILES_SPEC,
        _ if fault.ends_with("-without-end") => PATIENT_SPEC,
        _ => SPEC,
    };
    let what = ["--with-test-adapters", spec, "-r", &faulty, "-r", HEALTHY, "--trials", "2"];
    let limits = ["--time-limit", "4", "--memory-limit", "128"];
    let (ended, records) = stage.measure(&what, &limits, Duration::from_secs(240));
    assert_eq!(ended.code, Some(code), "{fault}: {records:#?}");
    records
}

pub fn every_fault_is_a_record_with_a_reason_and_harms_nobody_else() {
    let mut reasons = String::new();
    for (fault, status, code) in FAULTS {
        let is_it = |subject: &&Subject| subject.runtime == "faulty" && subject.executor == *fault;
        if subjects().iter().find(is_it).is_some_and(|subject| !subject.available) {
            // One says that it needs what this machine has not.
            reasons.push_str(&format!("{fault}: -\n"));
            continue;
        }
        let records = run(fault, *code);
        let (healthy, faulty): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| record.subject.id == HEALTHY);
        assert_eq!(healthy.len(), 2, "{fault}");
        for record in healthy {
            assert_eq!((record.status, &record.reason), (Status::Ok, &None), "{fault}");
            assert!(record.metrics.as_ref().unwrap().ops > 0, "{fault}");
        }
        // What a subject says it cannot do is not asked of it again.
        let trials = if *status == Status::Unsupported { 1 } else { 2 };
        assert_eq!(faulty.len(), trials, "{fault}");
        for record in &faulty {
            assert_eq!(record.status, *status, "{fault}: {:?}", record.reason);
            // No figures where there is a reason, and a reason where there are no figures.
            assert_eq!(record.metrics.is_some(), *status == Status::Ok, "{fault}");
            assert_eq!(record.reason.is_none(), *status == Status::Ok, "{fault}");
        }
        let reason = faulty[0].reason.as_deref().unwrap_or("-");
        // A socket that is closed before its last request was read is reset by the system.
        let reason = reason.replace("the subject reset a", "the subject closed a");
        reasons.push_str(&format!("{fault}: {}\n", redacted(&reason)));
    }
    insta::assert_snapshot!(reasons);
}

pub fn every_fault_there_is_has_its_test() {
    let listed = subjects().iter().filter(|subject| subject.runtime == "faulty");
    let mut listed: Vec<&str> = listed.map(|subject| &*subject.executor).collect();
    let mut tested: Vec<&str> = FAULTS.iter().map(|(fault, _, _)| *fault).collect();
    listed.sort_unstable();
    tested.sort_unstable();
    assert_eq!(listed, tested);
}

pub fn stalls_are_seen_where_they_are_and_nowhere_else() {
    for record in run("stalls", 0) {
        let stalls = &record.metrics.as_ref().unwrap().stalls;
        if record.subject.runtime == "faulty" {
            // It holds single polls for 50 ms.
            assert!(stalls.count > 0 && stalls.longest_ns >= 50_000_000, "{stalls:?}");
        }
    }
}

pub fn a_trial_that_slows_down_half_way_is_told_and_one_that_does_not_is_not() {
    let is_told = |record: &Record| {
        let warning = "the trial was not steady: its second half ran at 0.";
        record.warnings.iter().any(|text| text.starts_with(warning))
    };
    // A host that takes a third of the CPU time hides a change of speed: then once more.
    let mut attempts = (0..5).map(|_| run("slows-down", 0));
    let records = attempts.find(|records| {
        let mut faulty = records.iter().filter(|it| it.subject.runtime == "faulty");
        let healthy = records.iter().filter(|it| it.subject.id == HEALTHY);
        // A neighbour may come half way through one of its trials, but hardly through both.
        faulty.all(is_told) && healthy.filter(|it| is_told(it)).count() < 2
    });
    for record in &records.expect("the trial that slows down is told from the one that does not") {
        let progress = &record.metrics.as_ref().unwrap().progress;
        assert!(progress.len() >= 8 && progress.is_sorted(), "{progress:?}");
        // The first reading may be a moment late, when a neighbour has the CPU.
        let requests = record.metrics.as_ref().unwrap().ops;
        let own = progress.last().unwrap().1;
        assert!((requests / 2..=requests + 10).contains(&own), "{own} of {requests}");
    }
}

pub fn a_table_tells_the_reason_in_the_place_of_figures() {
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

//! Runs that end early, by ^C or by force: what they keep, what they leave, how they go on.

use std::collections::BTreeSet;
use std::fs;

use quadrant_reports::record::{Record, Status};
use rustix::process::Signal;

use crate::command::{Running, read};
use crate::stage::Stage;

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/reading.yaml");
const SUBJECTS: [&str; 4] = ["-r", "threads", "-r", "tokio/current-thread/epoll"];
const TRIALS: usize = 6;
/// Two cases, two subjects.
const RECORDS: usize = 2 * 2 * TRIALS;

fn start(stage: &Stage, spec: &str) -> Running {
    let out = stage.named("results");
    let trials = TRIALS.to_string();
    let words = [spec, "--trials", &trials, "--format", "json", "--out", &out];
    stage.run(&words).args(SUBJECTS).start()
}

/// Waits until so many records are there, and in the middle of the next trial.
#[track_caller]
fn in_the_middle(stage: &Stage, running: &mut Running, records: usize) {
    let path = stage.path("results/records.jsonl");
    running.until("records", || (read(&path).lines().count() >= records).then_some(()));
    let roles = ["__trial", "__driver"];
    running.until("trial", || {
        let processes = stage.processes();
        let runs = |role: &&str| processes.iter().any(|process| process.contains(*role));
        roles.iter().all(runs).then_some(())
    });
}

/// A run of this that was interrupted when so many records were there.
#[track_caller]
fn interrupted(stage: &Stage, spec: &str, records: usize) {
    let mut running = start(stage, spec);
    in_the_middle(stage, &mut running, records);
    running.signal(Signal::INT);
    running.wait().expect_code(130);
}

fn key(record: &Record) -> (String, u32, String) {
    (record.case[0].value.clone(), record.trial, record.subject.id.clone())
}

/// Every cell's every trial, once; what a machine at a standstill left unmeasured may be there
/// beside what was measured later.
#[track_caller]
fn assert_complete(records: &[Record]) {
    let keys: BTreeSet<_> = records.iter().map(key).collect();
    assert_eq!(keys.len(), RECORDS);
    let measured = records.iter().filter(|record| record.status != Status::Unmeasured);
    let measured: Vec<_> = measured.map(key).collect();
    assert_eq!(measured.len(), measured.iter().collect::<BTreeSet<_>>().len());
}

#[test]
fn an_interrupted_run_keeps_its_records_and_goes_on_where_it_was() {
    let stage = Stage::new();
    let mut running = start(&stage, SPEC);
    in_the_middle(&stage, &mut running, 3);
    running.signal(Signal::INT);
    let ended = running.wait();
    // Before anything else happens: nothing is left when it has ended.
    stage.assert_empty();
    let out = stage.named("results");
    let ended = ended.expect_code(130);
    let told = format!("--resume {out}");
    let kept = stage.records("results");
    assert!(kept.len() >= 3 && kept.len() < RECORDS, "{}", kept.len());
    assert_eq!(ended.records(), kept);
    let ended = ended.expect_words(&["Interrupted after", &told]);
    assert!(ended.stderr.contains(&format!("after {} of {RECORDS} trials", kept.len())));

    // What was there stays as it is; only what is missing is run.
    let text = read(&stage.path("results/records.jsonl"));
    let words = ["run", "--no-build", "--format", "json", "--resume", &out];
    let resumed = stage.quadrant(&words);
    stage.assert_completed(&resumed, "results");
    assert!(read(&stage.path("results/records.jsonl")).starts_with(&text));
    let records = stage.records("results");
    assert_complete(&records);
    let shown: BTreeSet<_> = resumed.records().iter().map(key).collect();
    assert_eq!(shown.len(), RECORDS, "the report is about the whole run");
    let identities: BTreeSet<_> =
        records.iter().map(|record| (&record.run_id, record.seed)).collect();
    assert_eq!(identities.len(), 1, "it is one run");

    // A run that is complete has nothing to go on with.
    if resumed.code != Some(0) {
        return;
    }
    let before = read(&stage.path("results/records.jsonl"));
    stage.assert_completed(&stage.quadrant(&words), "results");
    assert_eq!(read(&stage.path("results/records.jsonl")), before);
    stage.assert_empty();
}

#[test]
fn a_second_interruption_while_resuming_keeps_all_the_same() {
    let stage = Stage::new();
    let mut running = start(&stage, SPEC);
    in_the_middle(&stage, &mut running, 2);
    running.signal(Signal::TERM);
    running.wait().expect_code(130);
    let first = stage.records("results").len();

    let out = stage.named("results");
    let mut running =
        stage.call().args(["run", "--no-build", "--format", "json", "--resume", &out]).start();
    in_the_middle(&stage, &mut running, first + 2);
    running.signal(Signal::INT);
    let ended = running.wait().expect_code(130);
    stage.assert_empty();
    assert_eq!(ended.records().len(), stage.records("results").len());

    // As if the machine had gone down in the middle of a line.
    let path = stage.path("results/records.jsonl");
    let text = read(&path);
    fs::write(&path, &text[..text.len() - 100]).unwrap();
    let ended = stage.quadrant(&["run", "--no-build", "--resume", &out]);
    stage.assert_completed(&ended, "results");
    assert_complete(&stage.records("results"));
}

#[test]
fn a_run_whose_scenario_has_changed_is_not_gone_on_with() {
    let stage = Stage::new();
    let spec = stage.write("reading.yaml", &read(SPEC.as_ref()));
    interrupted(&stage, &spec, 1);
    let before = read(&stage.path("results/records.jsonl"));

    stage.write("reading.yaml", &read(SPEC.as_ref()).replace("64B", "65B"));
    let out = stage.named("results");
    let ended = stage.quadrant(&["run", "--no-build", "--resume", &out]);
    ended.expect_code(2).expect_words(&["the scenarios have changed", "Begin a new run"]);
    assert_eq!(read(&stage.path("results/records.jsonl")), before);
}

#[test]
fn a_run_that_is_still_going_on_is_nobody_elses() {
    let stage = Stage::new();
    let mut running = start(&stage, SPEC);
    in_the_middle(&stage, &mut running, 1);
    let out = stage.named("results");
    let other = stage.quadrant(&["run", "--no-build", "--resume", &out]);
    other.expect_code(2).expect_words(&["another run is writing its records to", &out]);
    // `timeout` sends one signal to the process and one to its group: that is one request.
    running.signal(Signal::INT);
    running.signal(Signal::TERM);
    running.wait().expect_code(130).expect_words(&["Interrupted after", "--resume"]);
    stage.assert_empty();
}

#[test]
fn nothing_is_added_to_damaged_records() {
    let stage = Stage::new();
    interrupted(&stage, SPEC, 2);
    let path = stage.path("results/records.jsonl");
    let damaged = read(&path).replacen('{', "", 1);
    fs::write(&path, &damaged).unwrap();
    let out = stage.named("results");
    let ended = stage.quadrant(&["run", "--no-build", "--resume", &out]);
    ended.expect_code(2).expect_words(&["line 1 is not a record", "begin a new run"]);
    assert_eq!(read(&path), damaged);
}

#[test]
fn interrupted_before_the_first_record_it_is_still_a_json_array() {
    let stage = Stage::new();
    let long = read(SPEC.as_ref()).replace("measure: 250ms", "measure: 600s");
    let spec = stage.write("reading.yaml", &long);
    let mut running = start(&stage, &spec);
    in_the_middle(&stage, &mut running, 0);
    running.signal(Signal::INT);
    let ended = running.wait().expect_code(130);
    stage.assert_empty();
    assert_eq!(ended.records(), []);
}

#[test]
fn a_killed_harness_leaves_no_process_and_the_next_removes_its_files() {
    let stage = Stage::new();
    let long = read(SPEC.as_ref()).replace("measure: 250ms", "measure: 600s");
    let spec = stage.write("reading.yaml", &long);
    let mut running = start(&stage, &spec);
    in_the_middle(&stage, &mut running, 0);
    assert!(!stage.temporary_files().is_empty());
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code, None);
    stage.assert_soon_no_process();
    let left = stage.temporary_files();
    assert_eq!(left.len(), 1, "{left:?}");

    // What it had begun can still be gone on with.
    let out = stage.named("results");
    let mut running = stage.call().args(["run", "--no-build", "--resume", &out]).start();
    in_the_middle(&stage, &mut running, 0);
    assert!(!left[0].exists());
    running.signal(Signal::INT);
    running.wait().expect_code(130);
    stage.assert_empty();
}

#[test]
fn a_file_that_was_changed_is_no_wrong_answer_of_the_subject() {
    let stage = Stage::new();
    let long = read(SPEC.as_ref()).replace("measure: 250ms", "measure: 5s");
    let spec = stage.write("reading.yaml", &long.replace("[1, 2]", "[1]"));
    let out = stage.named("results");
    let words = [&*spec, "-r", "threads", "--trials", "1", "--format", "json", "--out", &out];
    let mut running = stage.run(&words).start();
    in_the_middle(&stage, &mut running, 0);
    for file in fs::read_dir(&stage.temporary_files()[0]).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let records = running.wait().expect_code(3).records();
    assert_eq!(records[0].status, Status::Unmeasured);
    let reason = records[0].reason.as_deref().unwrap();
    assert!(reason.contains("something else changes the scenario's files"), "{reason}");
    assert!(reason.contains("wrong answer"), "{reason}");
    assert!(records[0].metrics.is_none());

    // It is made again, and counts as it was last.
    let words = ["run", "--no-build", "--format", "json", "--resume", &out];
    for expected in [2, 2] {
        let resumed = stage.quadrant(&words);
        stage.assert_completed(&resumed, "results");
        assert_eq!(resumed.records().len(), 1);
        assert_eq!(stage.records("results").len(), expected);
    }
}

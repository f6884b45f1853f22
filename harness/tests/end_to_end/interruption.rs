//! Runs that end early, by a signal: which records they keep, what they leave, how they resume.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use quadrant_reports::record::{Record, Status};
use rustix::process::Signal;

use crate::command::{Running, read};
use crate::stage::{CDYLIB, Stage};

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/reading.yaml");
const SUBJECTS: [&str; 4] = ["-r", "threads", "-r", "tokio/current-thread/epoll"];
const TRIALS: usize = 6;
/// Two cases on two subjects.
const RECORDS: usize = 2 * 2 * TRIALS;

fn start(stage: &Stage, spec: &str) -> Running {
    let out = stage.named("results");
    let trials = TRIALS.to_string();
    let words = [spec, "--trials", &trials, "--format", "json", "--out", &out];
    stage.run(&words).args(SUBJECTS).start()
}

/// A library that never finishes loading.
const ENDLESS: &str = "
    #include <unistd.h>
    __attribute__((constructor)) static void load(void) { for (;;) pause(); }";

pub fn an_interrupted_list_has_its_exit_code() {
    let stage = Stage::new();
    stage.library(ENDLESS);
    for what in ["subjects", "cells"] {
        let mut words = vec!["list", what, "--adapters", "."];
        words.extend((what == "cells").then_some(SPEC));
        let mut running = stage.call().args(words).start();
        running.until("question", || {
            stage.processes().iter().any(|it| it.contains("__describe")).then_some(())
        });
        running.signal(Signal::INT);
        assert_eq!(running.wait().expect_code(130).stdout, "");
        stage.assert_empty();
    }
}

/// What cargo has started would otherwise go on, and hold the pipe that its output comes from.
pub fn an_interrupted_build_leaves_no_compiler() {
    let stage = Stage::new();
    let workspace = stage.workspace(&[("slow", CDYLIB, "")]);
    let cargo = stage.write("cargo", "#!/bin/sh\nsleep 1000 & wait\n");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let call = stage.call().folder(&workspace).env("CARGO", &cargo);
    let mut running = call.args(["list", "subjects"]).start();
    running.until("compiler", || {
        stage.processes().iter().any(|it| it.contains("sleep 1000")).then_some(())
    });
    running.signal(Signal::TERM);
    running.wait().expect_code(130);
    stage.assert_empty();
}

/// Waits until this many records are written and the next trial is under way.
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

/// Starts a run and interrupts it when this many records are written.
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

/// Every trial of every cell has one measured record. Unmeasured records, left by a standstill of
/// the machine, may stand beside them.
#[track_caller]
fn assert_complete(records: &[Record]) {
    let keys: BTreeSet<_> = records.iter().map(key).collect();
    assert_eq!(keys.len(), RECORDS);
    let measured = records.iter().filter(|record| record.status != Status::Unmeasured);
    let measured: Vec<_> = measured.map(key).collect();
    assert_eq!(measured.len(), measured.iter().collect::<BTreeSet<_>>().len());
}

pub fn an_interrupted_run_keeps_records_and_can_resume() {
    let stage = Stage::new();
    let mut running = start(&stage, SPEC);
    in_the_middle(&stage, &mut running, 3);
    running.signal(Signal::INT);
    let ended = running.wait();
    // Checked at once: nothing may be left when the call has ended.
    stage.assert_empty();
    let out = stage.named("results");
    let ended = ended.expect_code(130);
    let option = format!("--resume {out}");
    let kept = stage.records("results");
    assert!(kept.len() >= 3 && kept.len() < RECORDS, "{}", kept.len());
    assert_eq!(ended.records(), kept);
    let ended = ended.expect_words(&["Interrupted after", &option]);
    assert!(ended.stderr.contains(&format!("after {} of {RECORDS} trials", kept.len())));

    // Existing records stay as they are; only the missing trials run.
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

    // Resuming a complete run adds nothing.
    if resumed.code != Some(0) {
        return;
    }
    let before = read(&stage.path("results/records.jsonl"));
    stage.assert_completed(&stage.quadrant(&words), "results");
    assert_eq!(read(&stage.path("results/records.jsonl")), before);
    stage.assert_empty();
}

pub fn an_interrupted_resume_keeps_its_records() {
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

    // As if the machine had crashed in the middle of a line.
    let path = stage.path("results/records.jsonl");
    let text = read(&path);
    fs::write(&path, &text[..text.len() - 100]).unwrap();
    let ended = stage.quadrant(&["run", "--no-build", "--resume", &out]);
    stage.assert_completed(&ended, "results");
    assert_complete(&stage.records("results"));
}

pub fn changed_scenarios_cannot_be_resumed() {
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

pub fn a_run_under_way_cannot_be_resumed() {
    let stage = Stage::new();
    let mut running = start(&stage, SPEC);
    in_the_middle(&stage, &mut running, 1);
    let out = stage.named("results");
    let other = stage.quadrant(&["run", "--no-build", "--resume", &out]);
    other.expect_code(2).expect_words(&["another run is writing its records to", &out]);
    // `timeout` signals the process and its group: these two signals are one request.
    running.signal(Signal::INT);
    running.signal(Signal::TERM);
    running.wait().expect_code(130).expect_words(&["Interrupted after", "--resume"]);
    stage.assert_empty();
}

pub fn nothing_is_added_to_damaged_records() {
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

pub fn without_any_record_json_is_an_empty_array() {
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

pub fn a_harness_that_is_killed_takes_all_with_it_and_leaves_no_file() {
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

pub fn a_changed_file_makes_the_trial_unmeasured() {
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

    // The trial is repeated, and its last record counts.
    let words = ["run", "--no-build", "--format", "json", "--resume", &out];
    for expected in [2, 2] {
        let resumed = stage.quadrant(&words);
        stage.assert_completed(&resumed, "results");
        assert_eq!(resumed.records().len(), 1);
        assert_eq!(stage.records("results").len(), expected);
    }
}

//! Resumed runs: what they measure again, and that they find what the run was about.

use std::collections::BTreeMap;
use std::fs;

use quadrant_reports::record::{Pass, Record, Status};
use serde_json::Value;

use crate::command::{Ended, read};
use crate::stage::Stage;

const ECHO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/sizes.yaml");
const YIELD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/yield.yaml");
const SUBJECTS: [&str; 4] = ["-r", "tokio/current-thread/epoll", "-r", "smol/single-thread/epoll"];

/// Case, pass, trial and subject.
type Key = (String, Pass, u32, String);

fn key(record: &Record) -> Key {
    let case = record.case[0].value.clone();
    (case, record.pass, record.trial, record.subject.id.clone())
}

fn counts<'a>(records: impl IntoIterator<Item = &'a Record>) -> BTreeMap<Key, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(key(record)).or_default() += 1;
    }
    counts
}

#[track_caller]
fn resume(stage: &Stage) -> Ended {
    let ended = stage.quadrant(&["run", "--no-build", "--resume", &stage.named("results")]);
    stage.assert_completed(&ended, "results");
    ended
}

/// Changes or removes records of a finished run.
fn edit(stage: &Stage, change: impl Fn(&Record, &mut Value) -> bool) {
    let mut text = String::new();
    for record in stage.records("results") {
        let mut line = serde_json::to_value(&record).unwrap();
        if change(&record, &mut line) {
            text += &format!("{line}\n");
        }
    }
    fs::write(stage.path("results/records.jsonl"), text).unwrap();
}

/// Two cases in both passes.
#[track_caller]
fn finished(stage: &Stage) {
    let out = stage.named("results");
    let words = [ECHO, "--trials", "2", "--starts", "2", "--out", &out];
    let ended = stage.in_turns(&words).args(SUBJECTS).run();
    stage.assert_completed(&ended, "results");
    while stage.records("results").iter().any(|record| record.status != Status::Ok) {
        resume(stage);
        edit(stage, |record, _| record.status == Status::Ok);
    }
}

pub fn unmeasured_trials_are_repeated_and_no_others() {
    let stage = Stage::new();
    finished(&stage);
    let whole = stage.records("results");
    let cases = [&whole[0], &whole[whole.len() - 1]].map(|record| record.case[0].value.clone());
    assert_ne!(cases[0], cases[1]);
    let subject = SUBJECTS[1].to_owned();
    // In an early case and in a late one, in each of the passes.
    let lost: Vec<Key> = [(0, Pass::Alone, 0), (0, Pass::Turns, 1), (1, Pass::Turns, 0)]
        .map(|(case, pass, trial)| (cases[case].clone(), pass, trial, subject.clone()))
        .into();
    edit(&stage, |record, line| {
        if lost.contains(&key(record)) {
            line["status"] = "unmeasured".into();
            line["reason"] = "the machine stood still".into();
        }
        true
    });
    // A start is repeated whole, because turns are compared with those of the same start.
    let is_repeated = |(case, pass, trial, id): &Key| {
        let of_lost = |lost: &&Key| (&lost.0, lost.1, lost.2) == (case, *pass, *trial);
        lost.iter().find(of_lost).is_some_and(|lost| *pass == Pass::Turns || lost.3 == *id)
    };
    let expected: BTreeMap<Key, usize> =
        counts(&whole).into_keys().filter(is_repeated).map(|key| (key, 1)).collect();
    resume(&stage);
    let resumed = stage.records("results");
    assert_eq!(counts(&resumed[whole.len()..]), expected);

    // A start or trial that the machine has lost again would be repeated once more.
    if resumed[whole.len()..].iter().all(|record| record.status == Status::Ok) {
        resume(&stage);
        assert_eq!(stage.records("results").len(), resumed.len());
    }
    stage.assert_empty();
}

/// It is left out of further starts, which are complete without it.
pub fn a_subject_that_failed_in_turns_is_not_repeated() {
    let stage = Stage::new();
    finished(&stage);
    edit(&stage, |record, line| {
        if record.pass == Pass::Turns && record.subject.id == SUBJECTS[1] {
            line["status"] = "crashed".into();
            line["turns"]["rounds"] = Value::Array(Vec::new());
            return record.trial == 0;
        }
        true
    });
    let before = read(&stage.path("results/records.jsonl"));
    let ended = stage.quadrant(&["run", "--no-build", "--resume", &stage.named("results")]);
    ended.expect_code(3);
    assert_eq!(read(&stage.path("results/records.jsonl")), before);
}

pub fn a_relative_spec_is_found_from_another_folder() {
    let stage = Stage::new();
    stage.write("own.yaml", &read(YIELD.as_ref()));
    let words = ["own.yaml", "-r", "threads", "--trials", "1", "--out", "results"];
    stage.run(&words).run().expect_code(0);
    let before = stage.records("results");
    fs::create_dir(stage.path("elsewhere")).unwrap();
    let call = stage.call().args(["run", "--no-build", "--resume", "../results/records.jsonl"]);
    call.folder(&stage.path("elsewhere")).run().expect_code(0);
    assert_eq!(stage.records("results"), before);
}

/// Its tables are still printed.
pub fn a_results_folder_removed_in_mid_run_is_an_error() {
    let stage = Stage::new();
    let out = stage.named("results");
    let words = [ECHO, "-r", "threads", "--trials", "3", "--out", &out];
    let mut running = stage.run(&words).start();
    let records = stage.path("results/records.jsonl");
    running.until("records", || (read(&records).lines().count() >= 1).then_some(()));
    fs::rename(stage.path("results"), stage.path("moved")).unwrap();
    let ended = running.wait().expect_code(3).expect_words(&["removed or moved", &out]);
    assert!(ended.stdout.contains("threads"), "{}", ended.stdout);
    assert!(!stage.path("results").exists());
    stage.assert_empty();
}

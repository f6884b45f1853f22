//! `quadrant list`: subjects, scenarios and cells, and which cells would run.

use serde_json::Value;

use crate::stage::{Stage, subjects};

#[track_caller]
fn list(stage: &Stage, words: &[&str]) -> Vec<Value> {
    let ended = stage.call().args(["list"]).args(words).args(["--format", "json"]).run();
    serde_json::from_str(&ended.expect_code(0).stdout).unwrap()
}

fn text<'a>(item: &'a Value, key: &str) -> &'a str {
    item[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {item}"))
}

pub fn subjects_are_listed_with_capabilities_or_a_reason() {
    let stage = Stage::new();
    let listed = list(&stage, &["subjects", "--no-build"]);
    assert!(listed.len() > 3);
    for subject in &listed {
        let keys = ["id", "runtime", "version", "executor", "backend"];
        let [id, runtime, _, executor, backend] = keys.map(|key| text(subject, key));
        assert_eq!(id, format!("{runtime}/{executor}/{backend}"));
        assert!(subject["capabilities"].is_array());
        let reason = &subject["reason"];
        assert_eq!(subject["available"].as_bool(), Some(reason.is_null()), "{id}: {reason}");
        // Adapters that misbehave on purpose are not listed.
        assert_ne!(runtime, "faulty");
    }
    let ids: Vec<&str> = listed.iter().map(|subject| text(subject, "id")).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    assert!(subjects().len() > listed.len());

    let only = list(&stage, &["subjects", "--no-build", "-r", "t*/thread-per-task"]);
    assert_eq!(only.len(), 1);
    let without = list(&stage, &["subjects", "--no-build", "-x", "threads"]);
    assert_eq!(without.len(), listed.len() - 1);
}

pub fn patterns_without_a_match_are_warned_of() {
    let stage = Stage::new();
    let words = ["list", "cells", "tasks/sleeping", "--no-build"];
    let patterns = ["-r", "threads", "-r", "thraeds", "-x", "tokio", "-x", "tokoi/**"];
    let ended = stage.quadrant(&[&words[..], &patterns].concat()).expect_code(0);
    for option in ["`-r thraeds`", "`-x tokoi/**`"] {
        assert!(ended.stderr.contains(&format!("{option} matches no subject")), "{}", ended.stderr);
    }
    assert_eq!(ended.stderr.matches("matches no subject").count(), 2, "{}", ended.stderr);
}

pub fn repeated_axes_and_unknown_values_are_errors() {
    let stage = Stage::new();
    let words = ["list", "cells", "echo/connections", "--no-build"];
    let twice = ["--axis", "connections=1", "--axis", "connections=64"];
    let ended = stage.quadrant(&[&words[..], &twice].concat()).expect_code(2);
    assert!(ended.stderr.contains("--axis connections is given twice"), "{}", ended.stderr);
    let ended = stage.quadrant(&[&words[..], &["--axis", "connections=3"]].concat()).expect_code(2);
    assert!(ended.stderr.contains("it has 1, 64, 1024"), "{}", ended.stderr);
}

pub fn specs_are_listed_with_their_questions() {
    let stage = Stage::new();
    let listed = list(&stage, &["specs"]);
    assert!(listed.iter().any(|spec| text(spec, "name") == "echo/connections"));
    for spec in &listed {
        assert!(text(spec, "question").ends_with('?'), "{spec}");
        assert!(spec["cases"].as_u64().unwrap() > 0, "{spec}");
    }
    // Each listed name selects that scenario.
    let names: Vec<&str> = listed.iter().map(|spec| text(spec, "name")).collect();
    let one_by_one = list(&stage, &[&["specs"], &names[..]].concat());
    assert_eq!(one_by_one, listed);
}

pub fn cells_that_do_not_run_have_a_reason() {
    let stage = Stage::new();
    let words = ["echo/connections", "tasks", "--no-build", "--axis", "tasks=1,2", "-r", "**"];
    let listed = list(&stage, &[&["cells"], &words[..]].concat());
    let subjects = list(&stage, &["subjects", "--no-build"]).len();
    assert_eq!(listed.len() % subjects, 0);
    for cell in &listed {
        let runs = cell["runs"].as_bool().unwrap();
        assert_eq!(runs, cell["reason"].is_null(), "{cell}");
        assert!(!text(cell, "subject").is_empty() && !text(cell, "scenario").is_empty());
        assert!(!text(cell, "case").contains("tasks=1000"), "{cell}");
    }
    assert!(listed.iter().any(|cell| text(cell, "scenario") == "tasks/timers"));
}

pub fn the_default_format_of_lists_is_a_table() {
    let stage = Stage::new();
    let ended = stage.quadrant(&["list", "subjects", "--no-build", "-r", "threads"]).expect_code(0);
    let mut lines = ended.stdout.lines();
    assert!(lines.next().unwrap().trim_start().starts_with("subject"));
    assert!(lines.next().unwrap().trim_start().starts_with("threads/thread-per-task/blocking"));
    // Its options have a table of their own.
    assert_eq!(lines.next(), Some(""));
    assert!(lines.next().unwrap().trim_start().starts_with("option"));
    assert!(lines.next().unwrap().trim_start().starts_with("threads?stack="));
    assert_eq!(lines.next(), None);
}

pub fn ten_thousand_cells_are_listed() {
    let stage = Stage::new();
    let spec = stage.write("many.yaml", &crate::machine::many_cases(100, 100));
    let listed = list(&stage, &["cells", &spec, "--no-build", "-r", "threads", "-r", "tokio/**"]);
    assert_eq!(listed.len() % 10_000, 0);
    assert!(listed.len() >= 20_000);
}

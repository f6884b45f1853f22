//! `quadrant compare` and `quadrant report` on constructed results folders: what they print, and
//! their exit codes. Never measures anything.
#![allow(clippy::unwrap_used)] // all of it is a test

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use quadrant_reports::record::{
    AxisValue, Concurrency, ContextSwitches, Latency, Metrics, Pass, Record, Rss, SCHEMA, Stalls,
    Status, Subject, Threads, Unended,
};
use quadrant_suite::histogram::Histogram;
use serde_json::{Value, json};

/// A results folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, run: &Value, records: &[Record]) -> Self {
        let path =
            std::env::temp_dir().join(format!("quadrant-compare-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("run.json"), run.to_string()).unwrap();
        let lines: String =
            records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
        fs::write(path.join("records.jsonl"), lines).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run_file() -> Value {
    json!({
        "schema": SCHEMA, "run_id": "r", "seed": 1, "began": "r", "quadrant_version": "0.1.0",
        "command_line": ["quadrant", "run"],
        "options": {
            "specs": [], "axis": [], "runtime": [], "exclude": [], "trials": 3, "quick": false,
            "workers": null,
        },
        "specs": [{ "name": "echo", "digest": "00" }],
        "subjects": [],
        "clock": { "cpu_counter": false, "ns_per_tick_shifted": 0 },
        "cpus": [0, 1],
        "machine": {
            "system": "Linux", "kernel": "6.1.0", "architecture": "x86_64", "cpu_model": "Fast 9",
            "cpus_allowed": 2, "governor": "performance", "memory_bytes": 1, "open_files_max": null,
            "locked_memory_max": null,
        },
    })
}

fn record(scenario: &str, trial: u32, ops_per_sec: f64) -> Record {
    let mut histogram = Histogram::default();
    (1..100).for_each(|share| histogram.record(share * 1_000));
    Record {
        schema: SCHEMA,
        run_id: "r".into(),
        seed: 1,
        scenario: scenario.into(),
        question: "How fast?".into(),
        workload: "64 B".into(),
        case: vec![AxisValue { axis: "connections".into(), value: "50".into() }],
        crossovers: false,
        rows_axis: None,
        claim: None,
        pass: Pass::Alone,
        trial,
        turns: None,
        cut_short: None,
        layout: None,
        subject: Subject {
            id: "some/thread/epoll".into(),
            runtime: "some".into(),
            version: "1".into(),
            executor: "thread".into(),
            backend: "epoll".into(),
            workers: 1,
            note: None,
        },
        workers_asked: None,
        cpus: None,
        status: Status::Ok,
        reason: None,
        metrics: Some(Metrics {
            operation: "request".into(),
            ops: ops_per_sec as u64,
            errors: 0,
            elapsed_ns: 1_000_000_000,
            progress: Vec::new(),
            ops_per_sec,
            latency_ns: Latency::from(histogram),
            unended: Unended::default(),
            load: None,
            concurrency: Concurrency { peak: 50, mean: 50.0 },
            steps: BTreeMap::new(),
            groups: Vec::new(),
            threads: Threads {
                peak: 2,
                mean: 2.0,
                loops: 1,
                kernel: 0,
                created: None,
                migrations: None,
                timeline: Vec::new(),
                method: "sampled".into(),
                names: BTreeMap::new(),
            },
            stalls: Stalls { threshold_ns: 10_000_000, ..Stalls::default() },
            responder: None,
            cancelled: BTreeMap::new(),
            shared_types: BTreeMap::new(),
            impact_ns: None,
            cpu_ns: 900_000_000,
            page_faults: 0,
            context_switches: ContextSwitches { voluntary: 1, involuntary: 1 },
            rss_bytes: Rss { start: 1 << 20, peak: 2 << 20, before_load: None, with_load: None },
        }),
        noise: None,
        evidence: None,
        warnings: Vec::new(),
        expectations: Vec::new(),
        took_ns: 1_100_000_000,
    }
}

fn records(scenario: &str, ops_per_sec: f64) -> Vec<Record> {
    [1.0, 1.001, 0.999]
        .into_iter()
        .zip(0..)
        .map(|(factor, trial)| record(scenario, trial, ops_per_sec * factor))
        .collect()
}

fn quadrant(arguments: &[&str], folders: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quadrant")).args(arguments).args(folders).output().unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, texts: &[&str]) {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{text}");
    for expected in texts {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
}

#[test]
fn the_exit_code_is_one_after_a_regression() {
    let base = Folder::new("base", &run_file(), &records("echo", 100_000.0));
    let slower = Folder::new("slower", &run_file(), &records("echo", 90_000.0));
    let compare = |base: &Folder, new: &Folder| quadrant(&["compare"], &[&base.0, &new.0]);
    check(&compare(&base, &slower), 1, &["1 regressed", "0.900×", "geometric mean", "1 cell"]);
    check(&compare(&slower, &base), 0, &["1 improved"]);
    check(&compare(&base, &base), 0, &["1 same"]);
    let generous = quadrant(&["compare", "--threshold", "15"], &[&base.0, &slower.0]);
    check(&generous, 0, &["1 same"]);
    let latency = quadrant(&["compare", "--metric", "latency.p99"], &[&base.0, &slower.0]);
    check(&latency, 0, &["latency.p99"]);
}

#[test]
fn a_crash_is_a_regression() {
    let base = Folder::new("alive", &run_file(), &records("echo", 100_000.0));
    let mut crashed = records("echo", 100_000.0);
    crashed[2].status = Status::Crashed;
    crashed[2].reason = Some("killed by signal 11".into());
    crashed[2].metrics = None;
    let new = Folder::new("dead", &run_file(), &crashed);
    check(&quadrant(&["compare"], &[&base.0, &new.0]), 1, &["was ok, now crashed 1 of 3 trials"]);
}

#[test]
fn runs_without_common_cells_exit_with_four() {
    let base = Folder::new("one", &run_file(), &records("echo", 100_000.0));
    let new = Folder::new("other", &run_file(), &records("files", 100_000.0));
    check(&quadrant(&["compare"], &[&base.0, &new.0]), 4, &["nothing to compare", "only in NEW"]);
}

#[test]
fn unlike_runs_are_refused_with_the_differences() {
    let base = Folder::new("here", &run_file(), &records("echo", 100_000.0));
    let mut elsewhere = run_file();
    elsewhere["machine"]["cpu_model"] = "Slow 3".into();
    elsewhere["machine"]["kernel"] = "5.10.0".into();
    elsewhere["machine"]["governor"] = Value::Null;
    elsewhere["cpus"] = json!([0]);
    elsewhere["specs"][0]["digest"] = "01".into();
    elsewhere["options"]["quick"] = true.into();
    elsewhere["options"]["workers"] = 4.into();
    let new = Folder::new("elsewhere", &elsewhere, &records("echo", 100_000.0));
    let all = [
        "cpu model: Fast 9 in BASE, Slow 3 in NEW",
        "kernel: 6.1.0 in BASE, 5.10.0 in NEW",
        "cpus: 0,1 in BASE, 0 in NEW",
        "governor: performance in BASE, none in NEW",
        "workers: by the CPUs in BASE, 4 in NEW",
        "quick: no in BASE, yes in NEW",
        "scenario echo",
        "--force",
    ];
    check(&quadrant(&["compare"], &[&base.0, &new.0]), 2, &all);
    let forced = quadrant(&["compare", "--force"], &[&base.0, &new.0]);
    check(&forced, 0, &all[..7]);
}

#[test]
fn unreadable_folders_are_usage_errors() {
    let base = Folder::new("whole", &run_file(), &records("echo", 100_000.0));
    let nowhere = base.0.join("nowhere");
    check(&quadrant(&["compare"], &[&base.0, &nowhere]), 2, &["nowhere", "run.json"]);
    check(&quadrant(&["report"], &[&nowhere]), 2, &["nowhere"]);
    let damaged = Folder::new("damaged", &run_file(), &[]);
    fs::write(damaged.0.join("records.jsonl"), "{\"schema\":1}\n").unwrap();
    check(&quadrant(&["compare"], &[&base.0, &damaged.0]), 2, &["line 1 is not a record"]);
    check(&quadrant(&["report"], &[&damaged.0]), 2, &["line 1 is not a record"]);
    for wrong in [["--threshold", "101"], ["--metric", "speed"], ["--metric", "threads.loops"]] {
        let output = quadrant(&[&["compare"], &wrong[..]].concat(), &[&base.0, &base.0]);
        check(&output, 2, &[wrong[0]]);
    }
}

#[test]
fn json_is_one_object_on_standard_output() {
    let base = Folder::new("json", &run_file(), &records("echo", 100_000.0));
    let output = quadrant(&["compare", "--format", "json"], &[&base.0, &base.0]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["cells"][0]["verdict"], "same");
    assert_eq!(value["counts"]["same"], 1);
}

#[test]
fn a_report_shows_what_the_run_showed() {
    let apart = [records("echo", 100_000.0), records("files", 5.0)].concat();
    let mut resumed = apart.clone();
    // The last trial of the first case, repeated after an interruption.
    resumed[2].status = Status::Unmeasured;
    resumed[2].metrics = None;
    resumed.push(apart[2].clone());
    let folder = Folder::new("report", &run_file(), &resumed);
    let table = quadrant(&["report"], &[&folder.0]);
    check(&table, 0, &["echo", "100 k", "2 cases of 2 scenarios"]);
    assert_eq!(String::from_utf8_lossy(&table.stdout).matches("3 trials × 1 s").count(), 2);
    assert!(!String::from_utf8_lossy(&table.stdout).contains("unmeasured"));
    let json = quadrant(&["report", "--format", "json"], &[&folder.0]);
    let records: Vec<Record> = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(records.len(), 6);
    let empty = Folder::new("empty", &run_file(), &[]);
    check(&quadrant(&["report"], &[&empty.0]), 4, &["there are no records"]);
}

#[test]
fn the_page_of_claims_shows_what_its_records_show() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/claims");
    let page = fs::read_to_string(folder.join("README.md")).unwrap();
    let output = quadrant(&["report", "--format", "markdown"], &[&folder.join("one-machine")]);
    let report = String::from_utf8_lossy(&output.stdout);
    let table = page.lines().filter(|line| line.starts_with("| ")).collect::<Vec<_>>().join("\n");
    assert!(table.contains("| claim | holds | does not hold | cannot tell |"), "{table}");
    assert!(report.contains(&table), "{report}");
}

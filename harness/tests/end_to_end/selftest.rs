//! `quadrant selftest` through real adapters: its rows, its counts, that it detects wrong
//! instruments, and that it leaves nothing behind. Never tests how well this machine measures.

use std::process::{Command, Stdio};
use std::time::Duration;

use quadrant::system::cpus;
use quadrant_suite::clock::{ClockScale, monotonic_ns};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::command::Ended;
use crate::stage::{Stage, subjects};

const LIMIT: Duration = Duration::from_secs(400);
const ROWS: &[&str] = &[
    "stalls.found.1ms",
    "stalls.found.5ms",
    "stalls.found.10ms",
    "stalls.length.1ms",
    "stalls.length.5ms",
    "stalls.length.10ms",
    "stalls.cause.0_hogs",
    "stalls.in_progress",
    "stalls.call",
    "impact.found",
    "impact.length",
    "load.stalls.found.1ms",
    "load.stalls.found.10ms",
    "load.stalls.length.1ms",
    "load.stalls.length.10ms",
    "load.stalls.cause",
    "load.impact.found",
    "stalls.cause.1_hogs",
    "stalls.cause.3_hogs",
    "nested.time",
    "nested.cause",
    "files.stalls",
    "alarms.1ms",
    "alarms.10ms",
    "load.alarms.1ms",
    "load.alarms.10ms",
    "threads.peak",
    "threads.offload",
    "threads.sampled",
    "threads.created",
    "load.freeze.shape",
    "load.freeze.fast",
    "timers.early",
    "backend.verdict",
    "backend.control",
    "wrapper.counter",
    "wrapper.system",
    "watching.cpu",
    "instruments.echo",
    "instruments.cpu",
    "compare.copies",
    "compare.spread",
    "compare.bias",
    "turns.position",
    "turns.copies",
    "compare.power.5",
    "compare.power.1",
    "trial.overhead",
];
const THREADS: &str = "threads/thread-per-task/blocking";
const FALSE_CLAIM: &str = "faulty/claims-io_uring/io_uring";

fn selftest(stage: &Stage, words: &[&str]) -> (Ended, Value) {
    let call = stage.call().args(["selftest", "--quick", "--no-build", "--format", "json"]);
    let ended = call.args(words).limit(LIMIT).run();
    // Checked at once: nothing may be left when the call has ended.
    stage.assert_empty();
    let report = parsed(&ended);
    (ended, report)
}

#[track_caller]
fn parsed(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{}\n{}", ended.stdout, ended.stderr))
}

#[track_caller]
fn row<'a>(report: &'a Value, key: &str) -> &'a Value {
    let rows = report["rows"].as_array().unwrap();
    rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("there is no row {key}"))
}

/// A subject's figure and its number of cases, or `None` if a reason is given instead.
#[track_caller]
fn figure(row: &Value, subject: &str) -> Option<(f64, u64)> {
    let of = |list: &str| {
        let all = row[list].as_array().unwrap().clone();
        all.into_iter().find(|one| one["subject"] == subject)
    };
    match of("figures") {
        Some(figure) => Some((figure["value"].as_f64().unwrap(), figure["of"].as_u64().unwrap())),
        None => {
            assert!(of("missing").is_some(), "{subject} is left out of {row:#}");
            None
        }
    }
}

pub fn every_row_has_a_figure_or_a_reason() {
    let stage = Stage::new();
    let words = ["-r", "threads", "-r", "tokio/current-thread/epoll", "--seed", "5"];
    let (ended, report) = selftest(&stage, &words);
    assert!(matches!(ended.code, Some(0 | 1 | 3)), "{ended:?}");
    ended.expect_words(&["2 subjects in 16 parts, some "]);
    assert_eq!((&report["seed"], &report["quick"]), (&5.into(), &true.into()));
    let keys: Vec<&str> =
        report["rows"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ROWS);

    for row in report["rows"].as_array().unwrap() {
        // The verdict follows from the figures. Every row has figures or a reason.
        let is_met = |value: f64| {
            let demand = &row["demand"];
            demand["at_least"].as_f64().is_none_or(|least| value >= least)
                && demand["at_most"].as_f64().is_none_or(|most| value <= most)
        };
        let reached = row["reached"].as_f64();
        // An unknown end of the interval is no number.
        let ends = ["low", "high"].map(|end| row["interval"][end].as_f64());
        match row["state"].as_str().unwrap() {
            "not_measured" => assert_eq!(reached, None, "{row:#}"),
            "reached" => assert!(is_met(reached.unwrap()), "{row:#}"),
            "not_reached" => assert!(!is_met(reached.unwrap()), "{row:#}"),
            "cannot_tell" => {
                let open = |end: Option<f64>| end.is_none_or(|value| !is_met(value));
                assert!(row["interval"].is_object(), "{row:#}");
                assert!(ends.iter().any(|end| open(*end)), "{row:#}");
            }
            state => panic!("there is no state {state}"),
        }
        assert!(reached.is_some() || !row["missing"].as_array().unwrap().is_empty(), "{row:#}");
    }

    // Counts, which do not depend on how busy the machine is.
    for (key, least) in
        [("stalls.found.1ms", 100), ("stalls.found.5ms", 30), ("stalls.found.10ms", 20)]
    {
        for subject in [THREADS, "tokio/current-thread/epoll"] {
            let Some((found, of)) = figure(row(&report, key), subject) else { continue };
            assert!(of >= least, "{subject}: {of} stalls in {key}");
            assert_eq!(found, 1.0, "{subject} in {key}");
        }
    }
    for (key, least) in [("load.stalls.found.1ms", 60), ("load.stalls.found.10ms", 12)] {
        let Some((found, of)) = figure(row(&report, key), "tokio/current-thread/epoll") else {
            continue;
        };
        assert!(of >= least, "{of} stalls in {key}");
        // A delayed driver may miss one.
        assert!(found >= 0.9, "{found} of {of} in {key}");
    }
    for subject in [THREADS, "tokio/current-thread/epoll"] {
        if let Some((share, _)) = figure(row(&report, "nested.time"), subject) {
            assert!(share <= 1.0, "{subject}: stalls take {share} of all loops' time");
        }
    }
    for key in ["threads.peak", "threads.created"] {
        if let Some((off, _)) = figure(row(&report, key), THREADS) {
            assert_eq!(off, 0.0, "{key}");
        }
    }
    // With a thread per task, `impact` is not defined, so there is no figure.
    assert_eq!(figure(row(&report, "impact.found"), THREADS), None);
    assert_ne!(figure(row(&report, "impact.found"), "tokio/current-thread/epoll"), None);
}

pub fn a_wrong_clock_and_claim_are_detected() {
    let stage = Stage::new();
    let is_false_claim = |subject: &&crate::stage::Subject| subject.id == FALSE_CLAIM;
    let claimant_runs =
        subjects().iter().find(is_false_claim).is_some_and(|subject| subject.available);
    // Where io_uring is forbidden, the adapter with the false claim is not available.
    let subject = if claimant_runs { "faulty/claims-io_uring" } else { "threads" };
    let part = |name, too_fast| {
        let words = ["--with-test-adapters", "-r", subject, "--part", name];
        selftest(&stage, &[&words[..], &["--wrong-clock", too_fast]].concat())
    };
    let (ended, report) = part("stalls", "40");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let length = row(&report, "stalls.length.10ms");
    assert_eq!(length["state"], "not_reached", "{length:#}");
    let off = length["reached"].as_f64().unwrap();
    assert!((0.035..0.15).contains(&off), "a clock that is 4 % too fast was seen as {off}");
    // A clock with a larger error is refused.
    let (ended, report) = part("stalls", "200");
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let missing = &row(&report, "stalls.length.10ms")["missing"][0]["reason"];
    assert!(missing.as_str().unwrap().contains("one of them has jumped"), "{missing}");
    if claimant_runs {
        let (_, report) = part("backends", "0");
        let verdict = row(&report, "backend.verdict");
        // A few operations are not enough for a verdict.
        if let Some((agrees, 20..)) = figure(verdict, FALSE_CLAIM) {
            assert_eq!((agrees, &verdict["state"]), (0.0, &"not_reached".into()), "{verdict:#}");
        }
    }
}

pub fn an_interruption_leaves_nothing_behind() {
    let stage = Stage::new();
    let words = ["selftest", "--quick", "--no-build", "--format", "json", "-r", "threads"];
    let mut running = stage.call().args(words).limit(LIMIT).start();
    running.until("hogs", || {
        let processes = stage.processes();
        ["__hog", "__trial"]
            .iter()
            .all(|role| processes.iter().any(|process| process.contains(role)))
            .then_some(())
    });
    running.signal(Signal::INT);
    let ended = running.wait();
    stage.assert_empty();
    let ended = ended.expect_code(130).expect_words(&["Interrupted"]);
    let report = parsed(&ended);
    assert_eq!(report["interrupted"], true);
    // Rows measured before the interruption are printed.
    assert_eq!(row(&report, "stalls.found.1ms")["key"], ROWS[0]);
    assert!(report["rows"].as_array().unwrap().len() < ROWS.len());
}

/// The watcher distinguishes a standstill of the machine from an error of the instruments.
pub fn a_watcher_records_its_own_standstill() {
    let clock = serde_json::to_string(&ClockScale::MONOTONIC).unwrap();
    let cpu = cpus::allowed()[0].to_string();
    let mut watcher = Command::new(env!("CARGO_BIN_EXE_quadrant"))
        .args(["__watcher", "--cpu", &cpu, "--clock", &clock])
        .args(["--parent", &std::process::id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(watcher.id() as i32).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    // On a busy machine it also waits for a CPU after a stop, and then does not count it.
    let stops: Vec<(u64, u64)> = (0..10)
        .map(|_| {
            let stopped = monotonic_ns();
            kill_process(pid, Signal::STOP).unwrap();
            std::thread::sleep(Duration::from_millis(60));
            let continued = monotonic_ns();
            kill_process(pid, Signal::CONT).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            (stopped, continued)
        })
        .collect();
    drop(watcher.stdin.take());
    let output = watcher.wait_with_output().unwrap();
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let is_covered = seen["standstills"].as_array().unwrap().iter().any(|stretch| {
        let (start, end) = (stretch[0].as_u64().unwrap(), stretch[1].as_u64().unwrap());
        let is_it = |(stopped, continued): &(u64, u64)| start < *continued && end > *stopped;
        end - start >= 40_000_000 && stops.iter().any(is_it)
    });
    assert!(is_covered, "none of {stops:?} is in {seen}");
}

pub fn unknown_subjects_parts_and_formats_are_errors() {
    let stage = Stage::new();
    stage.quadrant(&["selftest", "--no-build", "-r", "xyzzy"]).expect_code(4);
    let ended = stage.quadrant(&["selftest", "--format", "csv"]).expect_code(2);
    ended.expect_words(&["table, json and markdown"]);
    let ended = stage.quadrant(&["selftest", "--part", "gravity"]).expect_code(2);
    ended.expect_words(&["no part has `gravity` in its name", "false alarms"]);
}

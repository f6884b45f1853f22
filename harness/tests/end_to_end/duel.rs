//! Duels: subjects run in turns (lock-step), one at a time, and leave nothing behind.

use rustix::process::Signal;
use serde_json::Value;

use crate::command::Ended;
use crate::stage::Stage;

const TOKIO: &str = "tokio/current-thread";

fn words<'a>(first: &'a str, second: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["duel", first, second, "--no-build"], rest].concat()
}

fn cases(ended: &Ended) -> Vec<Value> {
    let whole: Value = serde_json::from_str(&ended.stdout).unwrap();
    whole["cases"].as_array().unwrap().clone()
}

/// The sum of a figure over all turns of one subject.
fn sum(case: &Value, side: usize, figure: &str) -> u64 {
    let starts = case["starts"].as_array().unwrap();
    let turns = starts.iter().flat_map(|start| start[side].as_array().unwrap());
    turns.map(|turn| turn["thawed"][figure].as_u64().unwrap()).sum()
}

pub fn three_subjects_take_turns_with_or_without_load() {
    let stage = Stage::new();
    let rest = [
        "echo/connections",
        "tasks/ping-pong",
        "--axis",
        "connections=64",
        "--also",
        "smol/single-thread",
        "--time",
        "1.2",
        "--starts",
        "2",
        "--format",
        "json",
    ];
    let ended = stage.quadrant(&words(TOKIO, "threads", &rest)).expect_code(0);
    stage.assert_empty();
    let cases = cases(&ended);
    assert!(cases.len() >= 2);
    for case in &cases {
        assert_eq!(case["status"], "ok", "{case}");
        assert_eq!(case["starts"].as_array().unwrap().len(), 2);
        let has_load = case["operation"] == "request";
        for side in 0..3 {
            assert!(sum(case, side, "operations") > 0);
            assert!(sum(case, side, "cpu_ns") > 0);
            assert_eq!(sum(case, side, "driver_cpu_ns") > 0, has_load);
            // A subject that was not frozen while others ran would have used more CPU time than
            // its own turns have.
            let cpus = std::thread::available_parallelism().unwrap().get() as u64;
            assert!(sum(case, side, "cpu_ns") <= sum(case, side, "elapsed_ns") * cpus * 11 / 10);
        }
        let first = &case["subjects"][0];
        assert_eq!(first["throughput"]["ratio"], 1.0);
        assert!(case["subjects"][2]["throughput"]["interval_99"][0].as_f64().unwrap() > 0.0);
    }
}

pub fn tables_name_each_subject_and_the_ratios_base() {
    let stage = Stage::new();
    let rest = ["echo/connections", "--axis", "connections=1", "--time", "0.6", "--starts", "2"];
    let ended = stage.quadrant(&words(TOKIO, TOKIO, &rest)).expect_code(0);
    let table = &ended.stdout;
    assert_eq!(table.matches("tokio/current-thread/epoll").count(), 3, "{table}");
    assert!(table.contains("ratios are to tokio/current-thread/epoll"), "{table}");
    assert!(table.contains("rounds in 2 starts"), "{table}");
}

pub fn ambiguous_subjects_and_unsuitable_scenarios_are_refused() {
    let stage = Stage::new();
    let ended = stage.quadrant(&words("tokio", TOKIO, &["echo/connections"])).expect_code(2);
    ended.expect_words(&["`tokio` may be any of", "tokio/multi-thread/epoll"]);
    let ended = stage.quadrant(&words("nobody", TOKIO, &["echo/connections"])).expect_code(2);
    ended.expect_words(&["no subject matches `nobody`"]);
    let ended = stage.quadrant(&words(TOKIO, TOKIO, &["echo/steady-rate"])).expect_code(4);
    assert_eq!(ended.stderr.matches("a fixed rate").count(), 1, "{}", ended.stderr);
}

pub fn a_wrong_answer_or_crash_gives_no_ratio() {
    let stage = Stage::new();
    for (fault, reason) in
        [("faulty/answers-wrongly", "wrong answer"), ("faulty/aborts", "SIGABRT")]
    {
        let rest = [
            "echo/connections",
            "--axis",
            "connections=64",
            "--with-test-adapters",
            "--time",
            "1",
            "--starts",
            "2",
            "--format",
            "json",
        ];
        let ended = stage.quadrant(&words("threads", fault, &rest)).expect_code(3);
        stage.assert_empty();
        let case = &cases(&ended)[0];
        assert!(case["at_fault"].as_str().unwrap().starts_with(fault), "{case}");
        assert!(case["reason"].as_str().unwrap().contains(reason), "{case}");
        assert!(case["subjects"][1]["throughput"].is_null());
    }
}

pub fn an_interrupted_duel_leaves_no_frozen_process() {
    let stage = Stage::new();
    let rest = ["echo/connections", "--axis", "connections=64", "--time", "60"];
    let mut running = stage.call().args(words(TOKIO, "threads", &rest)).start();
    running.until("both sides", || {
        let trials = stage.processes().iter().filter(|words| words.contains("__trial")).count();
        (trials == 2).then_some(())
    });
    running.signal(Signal::INT);
    let ended = running.wait();
    stage.assert_empty();
    ended.expect_code(130);
}

pub fn a_killed_duel_leaves_no_frozen_process() {
    let stage = Stage::new();
    let rest = ["echo/connections", "--axis", "connections=64", "--time", "60"];
    let mut running = stage.call().args(words(TOKIO, "threads", &rest)).start();
    running.until("both sides", || {
        let trials = stage.processes().iter().filter(|words| words.contains("__trial")).count();
        (trials == 2).then_some(())
    });
    running.signal(Signal::KILL);
    running.wait();
    stage.assert_soon_empty();
}

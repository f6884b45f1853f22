//! The behaviour kit on real runtimes, and on one that misbehaves.

use serde_json::Value;

use crate::stage::{Stage, build_kit};

/// The answers that `--format json` has printed.
fn answers(stdout: &str) -> Vec<Value> {
    let findings: Value = serde_json::from_str(stdout).unwrap_or_else(|_| panic!("{stdout}"));
    findings["answers"].as_array().unwrap().clone()
}

fn outcome(answer: &Value) -> String {
    answer["outcome"].as_object().unwrap().keys().next().unwrap().clone()
}

fn check(stage: &Stage, words: &[&str]) -> crate::command::Ended {
    build_kit();
    stage.call().args(["check", "--no-build"]).args(words).run()
}

pub fn every_check_has_an_answer_on_each_kind_of_executor() {
    let stage = Stage::new();
    let subjects = ["threads", "tokio/multi-thread/epoll", "mio/futures/epoll"];
    let selected = subjects.iter().flat_map(|subject| ["-r", subject]);
    let words: Vec<&str> = ["--format", "json"].into_iter().chain(selected).collect();
    let ended = check(&stage, &words);
    stage.assert_soon_empty();
    let answers = answers(&ended.stdout);
    let checks = check(&stage, &["--list", "--format", "json"]).expect_code(0);
    let checks: Vec<Value> = serde_json::from_str(&checks.stdout).unwrap();
    assert_eq!(answers.len(), checks.len() * subjects.len(), "{}", ended.stderr);
    for answer in &answers {
        let kinds: &[&str] = match answer["kind"].as_str().unwrap() {
            "must" => &["pass", "fail", "hung", "unsupported"],
            "differs" => &["answer", "hung", "unsupported"],
            _ => &["number", "unsupported"],
        };
        assert!(kinds.contains(&&*outcome(answer)), "{answer}");
    }
    // The control: what fails on plain threads blames the kit.
    let failed = |answer: &&Value| answer["failed"] == true;
    let of_threads = |answer: &&Value| answer["subject"] == "threads/thread-per-task/blocking";
    let blamed: Vec<&Value> = answers.iter().filter(of_threads).filter(failed).collect();
    assert!(blamed.is_empty(), "{blamed:?}");
    let expected = if answers.iter().any(|answer| answer["failed"] == true) { 1 } else { 0 };
    ended.expect_code(expected);
}

pub fn a_hang_and_an_early_end_are_answers() {
    let stage = Stage::new();
    for (fault, expected, code) in
        [("deadlocks", "hung", 1), ("returns-early", "fail", 1), ("refuses", "unsupported", 4)]
    {
        let subject = format!("faulty/{fault}");
        let words = ["--with-test-adapters", "-r", &subject, "wake-in-poll", "--time-limit", "2"];
        let ended = check(&stage, &[&words[..], &["--format", "json"]].concat());
        let ended = ended.expect_code(code);
        stage.assert_soon_empty();
        let answers = answers(&ended.stdout);
        assert_eq!(answers.len(), 1);
        assert_eq!(outcome(&answers[0]), expected, "{fault}");
    }
    let words = ["--with-test-adapters", "-r", "faulty/deadlocks", "wake-in-poll"];
    let ended = check(&stage, &[&words[..], &["--time-limit", "1"]].concat()).expect_code(1);
    let again = "again: quadrant check wake-in-poll -r faulty/deadlocks/none --seed 1";
    for text in ["no answer within 1 s", again, "1 FAILED"] {
        assert!(ended.stdout.contains(text), "{}", ended.stdout);
    }
}

pub fn moving_shows_only_what_changes() {
    let stage = Stage::new();
    let subjects = ["threads/thread-per-task/blocking", "tokio/current-thread/epoll"];
    let words = ["--between", subjects[0], subjects[1], "wake-in-poll", "spawn-then-return"];
    let ended = check(&stage, &words).expect_code(0);
    assert!(ended.stdout.contains("runs  does not run"), "{}", ended.stdout);
    assert!(ended.stdout.contains("the same answer on both: 1 other check"), "{}", ended.stdout);
    check(&stage, &["--between", "threads", subjects[1]]).expect_code(2);
    check(&stage, &["wake-in-pol"]).expect_code(2).expect_words(&["did you mean `wake-in-poll`?"]);
}

pub fn known_failures_do_not_count_until_they_expire() {
    let stage = Stage::new();
    let list = |expires: &str, check: &str| {
        format!("- check: {check}\n  subject: faulty\n  issue: a/b#1\n  expires: {expires}\n")
    };
    let words = ["--with-test-adapters", "-r", "faulty/returns-early", "wake-in-poll"];
    for (expires, check_id, seen, code) in [
        ("2999-12-31", "wake-in-poll", "1 known failure", 0),
        ("2020-01-01", "wake-in-poll", "expired on 2020-01-01: a/b#1", 1),
        ("2999-12-31", "sleep-max", "1 FAILED", 1),
    ] {
        let file = stage.write("known.yaml", &list(expires, check_id));
        let known = ["--known", &file];
        let ended = check(&stage, &[&words[..], &known].concat()).expect_code(code);
        assert!(ended.stdout.contains(seen), "{}", ended.stdout);
        let junit = [&words[..], &known, &["--format", "junit"]].concat();
        let junit = check(&stage, &junit).expect_code(code);
        let element = if code == 0 { "<skipped type=\"known failure\"" } else { "<failure " };
        assert!(junit.stdout.contains(element), "{}", junit.stdout);
    }
    // What passes now is reported, and does not end a build.
    let text = "- {check: wake-in-poll, subject: threads, issue: a/b#1}\n";
    let file = stage.write("known.yaml", text);
    let words = ["-r", "threads", "wake-in-poll", "--known", &file];
    let ended = check(&stage, &words).expect_code(0);
    assert!(ended.stdout.contains("now passes"), "{}", ended.stdout);
    stage.write("known.yaml", "- {check: wake-in-pol, subject: threads}\n");
    let mistakes = ["did you mean `wake-in-poll`?", "the key `issue` is missing"];
    check(&stage, &words).expect_code(2).expect_words(&mistakes);
}

pub fn our_list_of_known_failures_holds_and_explains() {
    let stage = Stage::new();
    let list = stage.call().args(["lint", "behaviours/known"]).run().expect_code(0);
    assert!(list.stdout.contains("known failure"), "{}", list.stdout);
    let specs = stage.call().args(["list", "specs"]).run().expect_code(0);
    assert!(!specs.stdout.contains("known"), "{}", specs.stdout);
    let explained = check(&stage, &["--explain", "sleep-max"]).expect_code(0);
    assert!(explained.stdout.contains("must pass; needs timers"), "{}", explained.stdout);
    assert!(explained.stdout.contains("checked_add"), "{}", explained.stdout);
}

pub fn a_scenario_may_demand_behaviours() {
    let stage = Stage::new();
    build_kit();
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/command/behaviours.yaml");
    let words = ["run", "--no-build", "--trials", "1", "--out", "run", spec];
    let subjects = ["-r", "threads", "-r", "tokio/current-thread/epoll"];
    let ended = stage.call().args(words).args(subjects).run().expect_code(1);
    let missed =
        "tokio/current-thread/epoll: behaviours.spawn-then-return = runs, saw does not run";
    let text = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(missed), "{}", ended.stdout);
    assert!(!text.contains("threads/thread-per-task/blocking: behaviours."), "{}", ended.stdout);
    let again = stage.call().args(["report", "run"]).run().expect_code(0);
    let text = again.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(missed), "{}", again.stdout);
}

pub fn operations_are_in_their_quadrants() {
    let stage = Stage::new();
    build_kit();
    let subjects = ["threads", "tokio/current-thread/epoll"];
    let selected = subjects.iter().flat_map(|subject| ["-r", subject]);
    let words: Vec<&str> = ["classify", "--no-build", "recv-*", "join-*"].into_iter().collect();
    let words: Vec<&str> = words.into_iter().chain(selected).collect();
    let ended = stage.call().args(&words).args(["--format", "json"]).run().expect_code(0);
    stage.assert_soon_empty();
    let answers = answers(&ended.stdout);
    let word = |operation: &str, subject: &str| {
        let is_it = |it: &&Value| {
            it["check"] == operation && it["subject"].as_str().unwrap().starts_with(subject)
        };
        let answer = answers.iter().find(is_it).unwrap();
        answer["outcome"]["answer"]["word"].as_str().unwrap_or("none").to_owned()
    };
    for (operation, on_threads, on_tokio) in [
        ("recv-await", "sync blocking", "sync non-blocking"),
        ("recv-blocking", "sync blocking", "sync blocking"),
        ("recv-polling", "sync non-blocking", "sync non-blocking"),
        ("recv-forced", "sync blocking", "deadlocks"),
        ("recv-offload", "async blocking", "async non-blocking"),
        ("join-await", "async blocking", "sync non-blocking"),
    ] {
        let seen = [word(operation, "threads"), word(operation, "tokio")];
        assert_eq!(seen, [on_threads, on_tokio], "{operation}");
    }
    let picture = stage.call().args(&words).run().expect_code(0);
    for text in ["join-await (1 of 2)", "deadlocks", "sb sync blocking"] {
        assert!(picture.stdout.contains(text), "{}", picture.stdout);
    }
    let wrong = stage.call().args(["classify", "recv"]).run().expect_code(2);
    assert!(wrong.stderr.contains("there is no operation `recv`"), "{}", wrong.stderr);
}

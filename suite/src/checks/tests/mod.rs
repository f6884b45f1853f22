//! The kit against a tiny executor: right, it passes every check; with one rule broken, the check of
//! this rule fails.

mod executor;
mod on_cancel;
mod own_process;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Check, GROUPS, Kind, Place, Verdict, all, named, outside};
use crate::board::Board;
use crate::clock::ClockScale;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::scene::Scene;
use executor::{Rule, run};

/// What the harness calls a hang.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs a check on the executor with this rule broken; `None` if it hangs.
fn check(id: &str, broken: Option<Rule>) -> Option<Verdict> {
    if own_process::is_needed(id) { own_process::check(id, broken) } else { check_here(id, broken) }
}

fn check_here(id: &str, broken: Option<Rule>) -> Option<Verdict> {
    // As the harness does; some checks open thousands of sockets.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let (sender, verdicts) = mpsc::channel();
    let plan = Plan {
        executor: "tiny".to_owned(),
        backend: "none".to_owned(),
        workers: 2,
        seed: 1,
        metered: true,
        stall_threshold_ns: 10_000_000,
        clock: ClockScale::MONOTONIC,
        rows: Vec::new(),
        programs: Vec::new(),
        server: None,
        groups: Vec::new(),
        files: None,
        check: named(id).map(Check::planned),
    };
    let scene = Box::leak(Box::new(Scene::new(plan, Box::leak(Board::blank()), move |outcome| {
        if let Outcome::Checked(verdict) = outcome {
            let _ = sender.send(verdict.clone());
        }
    })));
    let id = id.to_owned();
    thread::spawn(move || {
        let start = || {
            run(scene, broken);
            Ok(())
        };
        match outside(scene, &id, &start) {
            Some(verdict) => scene.answer(verdict),
            None => drop(start()),
        }
    });
    verdicts.recv_timeout(LIMIT).ok()
}

fn is_of_the_whole_process(id: &str) -> bool {
    // Other tests open descriptors, start threads, and use memory and CPU time of this process.
    let ids = ["churn-fds", "churn-threads", "churn-connections", "unread-idle", "idle-cpu"];
    ids.contains(&id) || id == "task-freed"
}

#[test]
fn names_are_unique_and_questions_are_questions() {
    let mut names: Vec<&str> = all().map(|check| check.id).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    for check in all() {
        assert!(check.question.ends_with('?') || check.question.contains("? "), "{}", check.id);
        assert!(check.why.ends_with('.'), "{}", check.id);
    }
    assert!(GROUPS.iter().all(|(_, checks)| !checks.is_empty()));
}

#[test]
fn a_right_executor_passes_every_check() {
    let failed: Vec<String> = all()
        .filter(|check| !is_of_the_whole_process(check.id))
        .filter_map(|check| {
            let verdict = check_again(check.id, |verdict| {
                matches!(
                    (check.kind, verdict),
                    (Kind::Must, Verdict::Pass { .. })
                        | (Kind::Differs, Verdict::Answer { .. })
                        | (Kind::Metric, Verdict::Number { .. })
                )
            });
            verdict.err().map(|verdict| format!("{}: {verdict:?}", check.id))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A busy machine may spoil a check that passes otherwise.
fn check_again(id: &str, expected: impl Fn(&Verdict) -> bool) -> Result<Verdict, Option<Verdict>> {
    let mut last = None;
    for _ in 0..3 {
        last = check(id, None);
        if let Some(verdict) = last.clone().filter(&expected) {
            return Ok(verdict);
        }
    }
    Err(last)
}

#[test]
fn each_broken_rule_fails_its_check() {
    let tests: Vec<_> = Rule::ALL
        .iter()
        .map(|(rule, id)| (*rule, *id, thread::spawn(|| check(id, Some(*rule)))))
        .collect();
    let mut missed = Vec::new();
    for (rule, id, test) in tests {
        // A hang is a failure too: the harness reports it.
        match test.join().unwrap() {
            None => println!("{id}: {rule:?} hangs"),
            Some(Verdict::Fail { seen }) => println!("{id}: {rule:?}: {seen}"),
            Some(other) => missed.push(format!("{rule:?} passes {id}: {other:?}")),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_rule_has_an_executor_that_breaks_it() {
    let rules = all().filter(|check| check.kind == Kind::Must);
    let unbroken: Vec<&str> = rules
        .map(|check| check.id)
        .filter(|id| !is_of_the_whole_process(id))
        .filter(|id| !Rule::ALL.iter().any(|(_, broken)| broken == id))
        .collect();
    assert_eq!(unbroken, Vec::<&str>::new());
}

#[test]
fn both_answers_come_out_where_runtimes_differ() {
    let word = |id: &str, broken| match check(id, broken) {
        Some(Verdict::Answer { word, .. }) => word,
        // Where runtimes may differ, this is an answer as well.
        None => "hangs".to_owned(),
        other => panic!("{id}: {other:?}"),
    };
    for (rule, id) in Rule::OTHER_WAYS {
        assert_ne!(word(id, None), word(id, Some(*rule)), "{id}");
    }
    let differing = all().filter(|check| check.kind == Kind::Differs);
    for check in differing {
        let has_other = Rule::OTHER_WAYS.iter().any(|(_, id)| *id == check.id);
        assert!(has_other || check.place == Place::Outside, "{} has one answer", check.id);
    }
}
